ALTER TABLE "offers" DROP CONSTRAINT "offers_in_bounds";--> statement-breakpoint
ALTER TABLE "offers" ADD CONSTRAINT "offers_in_bounds" CHECK ("offers"."ordinal" > 0);