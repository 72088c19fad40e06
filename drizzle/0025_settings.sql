CREATE TABLE "settings" (
	"id" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"name" text,
	"currency" text,
	"locale" text,
	"accent" text,
	"logo" text,
	CONSTRAINT "settings_is_one_row" CHECK ("settings"."id" = 1)
);
--> statement-breakpoint
ALTER TABLE "settings" ADD CONSTRAINT "settings_logo_pictures_digest_fk" FOREIGN KEY ("logo") REFERENCES "public"."pictures"("digest") ON DELETE no action ON UPDATE no action;