DROP INDEX "attempts_after_sale";--> statement-breakpoint
ALTER TABLE "leader" ADD COLUMN "last_seq" bigint;--> statement-breakpoint
ALTER TABLE "sales" ADD COLUMN "commitment" text;--> statement-breakpoint
ALTER TABLE "sales" ADD COLUMN "announced" text;--> statement-breakpoint
ALTER TABLE "sales" ADD COLUMN "announced_after_seq" bigint;--> statement-breakpoint
CREATE INDEX "attempts_after_sale" ON "attempts" USING btree ("sale_id","seq") WHERE "attempts"."kind" in ('refund', 'restock', 'change_sale', 'change_queue');--> statement-breakpoint
UPDATE "sales" "s" SET "commitment" = "d"."commitment" FROM "draws" "d" WHERE "d"."sale_id" = "s"."id";--> statement-breakpoint
ALTER TABLE "sales" ADD CONSTRAINT "sales_commitment" UNIQUE("id","commitment");--> statement-breakpoint
ALTER TABLE "draws" ADD CONSTRAINT "draws_promised" FOREIGN KEY ("sale_id","commitment") REFERENCES "public"."sales"("id","commitment") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
-- Sales that are not over are from here on what they are now: see `announced.ts`. Of others nobody knows
-- any more what they were announced as.
UPDATE "sales" "s" SET
  "announced_after_seq" = (SELECT coalesce(max("seq"), 0) FROM "attempts"),
  "announced" = encode(sha256(convert_to(
    json_build_array("s"."kind", "s"."entry", "s"."per_user_limit", "s"."reservation_ttl_ms",
      "s"."admit_per_second", "s"."pass_ttl_ms", "s"."commitment",
      (extract(epoch from "s"."starts_at") * 1000)::bigint,
      (extract(epoch from "s"."ends_at") * 1000)::bigint, "s"."closed")::text || chr(10) || (
      SELECT coalesce(string_agg(
        json_build_array("id", "product_id", "name", "picture_seed", "price_cents", "stock")::text,
        chr(10) ORDER BY "id"), '')
      FROM "items" "i" WHERE "i"."sale_id" = "s"."id"), 'UTF8')), 'hex')
WHERE NOT "s"."settled";--> statement-breakpoint
-- What is noted beside an attempt stays as it was noted.
CREATE FUNCTION "records_stay"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what is stored in % is what it is', TG_TABLE_NAME
    USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
END $$;--> statement-breakpoint
CREATE TRIGGER "queue_rates_stay" BEFORE UPDATE ON "queue_rates"
FOR EACH ROW EXECUTE FUNCTION "records_stay"();--> statement-breakpoint
CREATE TRIGGER "milestones_stay" BEFORE UPDATE ON "milestones"
FOR EACH ROW EXECUTE FUNCTION "records_stay"();--> statement-breakpoint
CREATE TRIGGER "terms_stay" BEFORE UPDATE OR DELETE ON "terms"
FOR EACH ROW EXECUTE FUNCTION "records_stay"();--> statement-breakpoint
-- A name may be erased, and a unit taken back: neither names one of these columns.
CREATE TRIGGER "purchases_stay" BEFORE UPDATE OF "seq", "reserved_seq", "item_stock", "purchased_at" ON "purchases"
FOR EACH ROW WHEN ((OLD."seq", OLD."reserved_seq", OLD."item_stock", OLD."purchased_at")
  IS DISTINCT FROM (NEW."seq", NEW."reserved_seq", NEW."item_stock", NEW."purchased_at"))
EXECUTE FUNCTION "records_stay"();--> statement-breakpoint
CREATE TRIGGER "claims_stay" BEFORE UPDATE OF "seq", "coupon_amount", "claimed_at" ON "claims"
FOR EACH ROW WHEN ((OLD."seq", OLD."coupon_amount", OLD."claimed_at")
  IS DISTINCT FROM (NEW."seq", NEW."coupon_amount", NEW."claimed_at"))
EXECUTE FUNCTION "records_stay"();--> statement-breakpoint
-- … and is gone with its sale alone, which is gone by the time that this is asked.
CREATE FUNCTION "records_go_with_their_sale"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM "public"."sales" "s" WHERE "s"."id" = OLD."sale_id") THEN
    RAISE EXCEPTION 'what is stored in % of sale % stays as long as that', TG_TABLE_NAME, OLD."sale_id"
      USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
  END IF;
  RETURN OLD;
END $$;--> statement-breakpoint
CREATE TRIGGER "draws_go_with_sale" BEFORE DELETE ON "draws"
FOR EACH ROW EXECUTE FUNCTION "records_go_with_their_sale"();--> statement-breakpoint
CREATE TRIGGER "queue_rates_go_with_sale" BEFORE DELETE ON "queue_rates"
FOR EACH ROW EXECUTE FUNCTION "records_go_with_their_sale"();--> statement-breakpoint
CREATE TRIGGER "milestones_go_with_sale" BEFORE DELETE ON "milestones"
FOR EACH ROW EXECUTE FUNCTION "records_go_with_their_sale"();--> statement-breakpoint
-- What something was sold for, and as, it was sold for.
CREATE FUNCTION "items_are_as_sold"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM "public"."purchases" "p"
             WHERE "p"."sale_id" = OLD."sale_id" AND "p"."item_id" = OLD."id") THEN
    RAISE EXCEPTION 'item % of sale % is sold as what it is', OLD."id", OLD."sale_id"
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'items',
            CONSTRAINT = 'items_as_sold';
  END IF;
  RETURN NEW;
END $$;--> statement-breakpoint
CREATE TRIGGER "items_as_sold" BEFORE UPDATE OF "product_id", "name", "price_cents" ON "items"
FOR EACH ROW WHEN ((OLD."product_id", OLD."name", OLD."price_cents")
  IS DISTINCT FROM (NEW."product_id", NEW."name", NEW."price_cents"))
EXECUTE FUNCTION "items_are_as_sold"();--> statement-breakpoint
-- A sale that was sold from is moved by an attempt that says whereto: one of the same statement.
CREATE FUNCTION "sales_are_moved_by_attempts"() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  said text;
BEGIN
  IF NOT EXISTS (SELECT FROM "public"."purchases" "p" WHERE "p"."sale_id" = NEW."id") THEN
    RETURN NULL;
  END IF;
  SELECT "a"."request" INTO said FROM "public"."attempts" "a"
  WHERE "a"."sale_id" = NEW."id" AND "a"."kind" = 'change_sale' AND "a"."outcome" = 'sale_changed'
  ORDER BY "a"."seq" DESC LIMIT 1;
  IF said IS NULL OR said NOT LIKE format('%%,"after":[%s,%s],"closed":%s}',
      (extract(epoch from NEW."starts_at") * 1000)::bigint,
      (extract(epoch from NEW."ends_at") * 1000)::bigint, NEW."closed"::text) THEN
    RAISE EXCEPTION 'no attempt has moved sale % there', NEW."id"
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'sales',
            CONSTRAINT = 'sales_moved_by_attempts';
  END IF;
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER "sales_moved_by_attempts" AFTER UPDATE OF "starts_at", "ends_at", "closed" ON "sales"
FOR EACH ROW WHEN ((OLD."starts_at", OLD."ends_at", OLD."closed")
  IS DISTINCT FROM (NEW."starts_at", NEW."ends_at", NEW."closed"))
EXECUTE FUNCTION "sales_are_moved_by_attempts"();
