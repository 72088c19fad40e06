CREATE TABLE "drafts" (
	"id" integer PRIMARY KEY NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"title" text NOT NULL,
	"starts_at" timestamp (3) with time zone NOT NULL,
	"ends_at" timestamp (3) with time zone NOT NULL,
	"per_user_limit" integer NOT NULL,
	"admit_per_second" integer,
	"pass_ttl_ms" integer,
	"items" text NOT NULL,
	CONSTRAINT "drafts_window" CHECK ("drafts"."starts_at" < "drafts"."ends_at"),
	CONSTRAINT "drafts_queue" CHECK (("drafts"."admit_per_second" is null) = ("drafts"."pass_ttl_ms" is null))
);
