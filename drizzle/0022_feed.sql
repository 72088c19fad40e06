ALTER TYPE "public"."attempt_kind" ADD VALUE 'milestone';--> statement-breakpoint
CREATE TABLE "milestones" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"sale_id" integer NOT NULL,
	"word" "outcome_word" NOT NULL
);
--> statement-breakpoint
ALTER TABLE "milestones" ADD CONSTRAINT "milestones_sale_id_sales_id_fk" FOREIGN KEY ("sale_id") REFERENCES "public"."sales"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "milestones_once" ON "milestones" USING btree ("sale_id","word") WHERE "milestones"."word" <> 'sold_out';--> statement-breakpoint
CREATE INDEX "attempts_in_feed" ON "attempts" USING btree ("seq") WHERE "attempts"."outcome" in ('reserved', 'purchased', 'released', 'claimed');