ALTER TABLE "users" ADD COLUMN "factor_secret" text;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "factor_pending" text;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "factor_step" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "recovery_hashes" text[] DEFAULT '{}' NOT NULL;