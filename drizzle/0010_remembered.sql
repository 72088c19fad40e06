ALTER TABLE "extensions" DROP CONSTRAINT "extensions_in_bounds";--> statement-breakpoint
ALTER TABLE "extensions" DROP CONSTRAINT "extensions_sale_id_sales_id_fk";--> statement-breakpoint
ALTER TABLE "sales" ADD CONSTRAINT "sales_ttl" UNIQUE("id","reservation_ttl_ms");--> statement-breakpoint
ALTER TABLE "extensions" ADD COLUMN "reservation_ttl_ms" integer;--> statement-breakpoint
UPDATE "extensions" SET "reservation_ttl_ms" = "sales"."reservation_ttl_ms"
FROM "sales" WHERE "sales"."id" = "extensions"."sale_id";--> statement-breakpoint
ALTER TABLE "extensions" ALTER COLUMN "reservation_ttl_ms" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "extensions" ADD CONSTRAINT "extensions_sale_ttl" FOREIGN KEY ("sale_id","reservation_ttl_ms") REFERENCES "public"."sales"("id","reservation_ttl_ms") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "extensions" ADD CONSTRAINT "extensions_in_bounds" CHECK ("extensions"."due" > "extensions"."extended_at" and "extensions"."due" - "extensions"."extended_at"
        <= greatest(interval '15 minutes', "extensions"."reservation_ttl_ms" * interval '1 millisecond'));--> statement-breakpoint
ALTER TABLE "attempts" ADD CONSTRAINT "attempts_buyer" CHECK (("buyer" is null) = ("user_id" is null));--> statement-breakpoint
-- The audit finds what was extended by it, beside what recovery replays.
DROP INDEX "attempts_effective";--> statement-breakpoint
CREATE INDEX "attempts_effective" ON "attempts" USING btree ("sale_id","seq") WHERE "attempts"."outcome" in ('reserved', 'purchased', 'released', 'extended');--> statement-breakpoint
CREATE INDEX "purchases_by_key" ON "purchases" USING btree ("user_id","idempotency_key") WHERE "purchases"."idempotency_key" is not null;--> statement-breakpoint
CREATE INDEX "purchases_by_order_key" ON "purchases" USING btree ("user_id","order_key") WHERE "purchases"."order_key" is not null;--> statement-breakpoint
ALTER TABLE "purchases" ADD COLUMN "reserved_seq" bigint;--> statement-breakpoint
-- What is sold is what was reserved, of the same item, by the same buyer and under the same code; or
-- it was reserved and sold in one step. A foreign key would need an index of all that was ever tried:
-- this looks at one attempt a unit, by its number, at the end of the statement that writes both. A
-- plan is made once for a session, when there may be few attempts, and must be good for many.
CREATE FUNCTION "purchases_are_reserved"() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  stray uuid;
BEGIN
  SELECT "code" INTO stray FROM "sold" WHERE NOT EXISTS (
    SELECT FROM "public"."attempts" "a"
    WHERE "a"."seq" = "sold"."reserved_seq"
      AND ("a"."outcome" = 'reserved' AND "a"."code" = "sold"."code"
           OR "a"."outcome" = 'purchased' AND "a"."kind" = 'buy' AND "a"."seq" = "sold"."seq")
      AND "a"."sale_id" = "sold"."sale_id" AND "a"."item_id" = "sold"."item_id"
      AND "a"."buyer" = "sold"."buyer" AND "a"."user_id" = "sold"."user_id")
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'what is sold under code % was not reserved so', stray
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'purchases',
            CONSTRAINT = 'purchases_reserved';
  END IF;
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER "purchases_reserved" AFTER INSERT ON "purchases"
REFERENCING NEW TABLE AS "sold" FOR EACH STATEMENT EXECUTE FUNCTION "purchases_are_reserved"();
