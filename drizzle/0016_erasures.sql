CREATE TABLE "erasures" (
	"epoch" bigint PRIMARY KEY NOT NULL,
	"pseudonym" text NOT NULL,
	"erased_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
