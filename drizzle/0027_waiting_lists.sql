CREATE TABLE "offers" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"sale_id" integer NOT NULL,
	"joined_seq" bigint NOT NULL,
	"ordinal" integer NOT NULL,
	CONSTRAINT "offers_one_after_another" UNIQUE("joined_seq","ordinal"),
	CONSTRAINT "offers_in_bounds" CHECK ("offers"."ordinal" between 1 and 3),
	CONSTRAINT "offers_after_joining" CHECK ("offers"."seq" > "offers"."joined_seq")
);
--> statement-breakpoint
ALTER TABLE "checkpoints" ADD COLUMN "waiting" text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE "offers" ADD CONSTRAINT "offers_sale_id_sales_id_fk" FOREIGN KEY ("sale_id") REFERENCES "public"."sales"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "offers_by_sale" ON "offers" USING btree ("sale_id","seq");--> statement-breakpoint
CREATE INDEX "attempts_waiting" ON "attempts" USING btree ("sale_id","seq") WHERE "attempts"."outcome" in ('waiting', 'left', 'offer_lapsed');--> statement-breakpoint
-- What is offered is reserved for whoever joined that line, of an item that they wait for.
CREATE FUNCTION "offers_are_waited_for"() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  stray bigint;
BEGIN
  SELECT "seq" INTO stray FROM "made" "m"
  WHERE NOT EXISTS (
    SELECT FROM "public"."attempts" "a" JOIN "public"."attempts" "j" ON "j"."seq" = "m"."joined_seq"
    WHERE "a"."seq" = "m"."seq" AND "a"."kind" = 'offer' AND "a"."outcome" = 'reserved'
      AND "a"."sale_id" = "m"."sale_id" AND "a"."buyer" <> 'guest'
      AND "j"."kind" = 'waitlist_join' AND "j"."outcome" = 'waiting'
      AND "j"."sale_id" = "a"."sale_id" AND "j"."buyer" = "a"."buyer" AND "j"."user_id" = "a"."user_id"
      AND ("j"."item_id" IS NULL OR "j"."item_id" = "a"."item_id"))
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'what attempt % offers nobody waits for', stray
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'offers', CONSTRAINT = 'offers_waited_for';
  END IF;
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER "offers_waited_for" AFTER INSERT ON "offers"
REFERENCING NEW TABLE AS "made" FOR EACH STATEMENT EXECUTE FUNCTION "offers_are_waited_for"();
