ALTER TABLE "attempts" ADD COLUMN "asked" bigint;--> statement-breakpoint
ALTER TABLE "leader" ADD COLUMN "instance" text;--> statement-breakpoint
ALTER TABLE "leader" ADD COLUMN "link" text;