ALTER TYPE "public"."attempt_kind" ADD VALUE 'withdraw';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'withdrawn';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'sale_opened';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'restocked';--> statement-breakpoint
ALTER TABLE "draws" DROP CONSTRAINT "draws_sale_id_sales_id_fk";
--> statement-breakpoint
ALTER TABLE "queue_rates" DROP CONSTRAINT "queue_rates_sale_id_sales_id_fk";
--> statement-breakpoint
ALTER TABLE "checkpoints" DROP CONSTRAINT "checkpoints_sale_id_sales_id_fk";
--> statement-breakpoint
ALTER TABLE "items" DROP CONSTRAINT "items_sale_id_sales_id_fk";
--> statement-breakpoint
ALTER TABLE "purchases" DROP CONSTRAINT "purchases_item_stock";
--> statement-breakpoint
ALTER TABLE "items" DROP CONSTRAINT "items_stock";
--> statement-breakpoint
ALTER TABLE "sales" ADD COLUMN "end_by_hand" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "draws" ADD CONSTRAINT "draws_sale_id_sales_id_fk" FOREIGN KEY ("sale_id") REFERENCES "public"."sales"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "queue_rates" ADD CONSTRAINT "queue_rates_sale_id_sales_id_fk" FOREIGN KEY ("sale_id") REFERENCES "public"."sales"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "checkpoints" ADD CONSTRAINT "checkpoints_sale_id_sales_id_fk" FOREIGN KEY ("sale_id") REFERENCES "public"."sales"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "items" ADD CONSTRAINT "items_sale_id_sales_id_fk" FOREIGN KEY ("sale_id") REFERENCES "public"."sales"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "purchases" ADD CONSTRAINT "purchases_item" FOREIGN KEY ("sale_id","item_id") REFERENCES "public"."items"("sale_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
-- As before, and a unit's number is within the units that its item has by now: the same statement may
-- have added some.
CREATE OR REPLACE FUNCTION "purchases_are_reserved"() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  stray uuid;
  within boolean;
BEGIN
  SELECT "code", "is_within" INTO stray, within FROM (
    SELECT "sold"."code",
      EXISTS (
        SELECT FROM "public"."items" "i"
        WHERE "i"."sale_id" = "sold"."sale_id" AND "i"."id" = "sold"."item_id"
          AND "i"."stock" >= "sold"."item_stock") AS "is_within",
      EXISTS (
        SELECT FROM "public"."attempts" "a"
        WHERE "a"."seq" = "sold"."reserved_seq"
          AND ("a"."outcome" = 'reserved' AND "a"."code" = "sold"."code"
               OR "a"."outcome" = 'purchased' AND "a"."kind" = 'buy' AND "a"."seq" = "sold"."seq")
          AND "a"."sale_id" = "sold"."sale_id" AND "a"."item_id" = "sold"."item_id"
          AND "a"."buyer" = "sold"."buyer" AND "a"."user_id" = "sold"."user_id") AS "is_reserved"
    FROM "sold") AS "looked_at"
  WHERE NOT ("is_within" AND "is_reserved")
  LIMIT 1;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF NOT within THEN
    RAISE EXCEPTION 'what is sold under code % is more than its item has', stray
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'purchases',
            CONSTRAINT = 'purchases_item_stock';
  END IF;
  RAISE EXCEPTION 'what is sold under code % was not reserved so', stray
    USING ERRCODE = 'integrity_constraint_violation', TABLE = 'purchases',
          CONSTRAINT = 'purchases_reserved';
END $$;--> statement-breakpoint
-- Nor are there ever fewer than were sold.
CREATE FUNCTION "items_keep_what_is_sold"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM "public"."purchases" "p"
             WHERE "p"."sale_id" = NEW."sale_id" AND "p"."item_id" = NEW."id"
               AND "p"."item_stock" > NEW."stock") THEN
    RAISE EXCEPTION 'more units of item % of sale % are sold', NEW."id", NEW."sale_id"
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'items',
            CONSTRAINT = 'items_stock_sold';
  END IF;
  RETURN NEW;
END $$;--> statement-breakpoint
CREATE TRIGGER "items_stock_sold" BEFORE UPDATE OF "stock" ON "items"
FOR EACH ROW WHEN (NEW."stock" < OLD."stock") EXECUTE FUNCTION "items_keep_what_is_sold"();
