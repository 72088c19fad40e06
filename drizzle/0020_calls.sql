ALTER TABLE "activity" ADD COLUMN "asked" bigint;--> statement-breakpoint
CREATE UNIQUE INDEX "activity_asked_once" ON "activity" USING btree ("asked") WHERE "activity"."asked" is not null;