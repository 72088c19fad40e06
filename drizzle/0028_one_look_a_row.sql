-- By the user first, who decides nearly every comparison.
ALTER TABLE "tickets" DROP CONSTRAINT "tickets_one_a_buyer";--> statement-breakpoint
ALTER TABLE "tickets" ADD CONSTRAINT "tickets_one_a_buyer" UNIQUE NULLS NOT DISTINCT("user_id","sale_id","buyer","supersedes");--> statement-breakpoint
-- These look at a row or two for each of a statement's, by its key. An EXISTS that is not alone in its
-- condition may be planned as a hash of the whole table, and a session that began with an empty table
-- keeps that plan: so each asks for one row, as a value, which cannot be hashed.
CREATE OR REPLACE FUNCTION "tickets_follow"() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  stray integer;
BEGIN
  SELECT "sale_id" INTO stray FROM (
    SELECT "sale_id", min("number") AS lowest, max("number") AS highest, count(*) AS made
    FROM "joined" GROUP BY "sale_id") AS "batch"
  WHERE highest - lowest + 1 <> made
    OR lowest > 1 AND (
      SELECT "t"."number" FROM "public"."tickets" "t"
      WHERE "t"."sale_id" = "batch"."sale_id" AND "t"."number" = lowest - 1) IS NULL
    OR (SELECT "s"."entry" FROM "public"."sales" "s" WHERE "s"."id" = "batch"."sale_id")
      IS DISTINCT FROM 'queue'
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'the tickets of sale % do not follow each other, or it has no queue', stray
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'tickets', CONSTRAINT = 'tickets_follow';
  END IF;
  SELECT "j"."number" INTO stray FROM "joined" "j"
  WHERE "j"."supersedes" IS NOT NULL AND (
    SELECT "t"."number" FROM "public"."tickets" "t"
    WHERE "t"."sale_id" = "j"."sale_id" AND "t"."number" = "j"."supersedes"
      AND "t"."buyer" = "j"."buyer" AND "t"."user_id" = "j"."user_id") IS NULL
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ticket % supersedes one of another buyer', stray
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'tickets', CONSTRAINT = 'tickets_same_buyer';
  END IF;
  RETURN NULL;
END $$;--> statement-breakpoint
-- The earliest ticket of a buyer is the one that supersedes none.
CREATE OR REPLACE FUNCTION "purchases_have_joined"() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  stray uuid;
BEGIN
  SELECT "sold"."code" INTO stray
  FROM (SELECT DISTINCT "sale_id" FROM "sold") AS "of"
    JOIN "public"."sales" "s" ON "s"."id" = "of"."sale_id" AND "s"."entry" = 'queue'
    JOIN "sold" ON "sold"."sale_id" = "s"."id"
  WHERE (
    SELECT "t"."seq" FROM "public"."tickets" "t"
    WHERE "t"."sale_id" = "sold"."sale_id" AND "t"."buyer" = "sold"."buyer"
      AND "t"."user_id" = "sold"."user_id" AND "t"."supersedes" IS NULL
      AND "t"."seq" < "sold"."seq") IS NULL
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'what is sold under code % is sold to somebody who has not joined', stray
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'purchases',
            CONSTRAINT = 'purchases_joined';
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION "claims_are_allowed"() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  stray text;
  beyond boolean;
BEGIN
  SELECT "c"."name", "made"."ordinal" > "c"."amount" INTO stray, beyond
  FROM "made" JOIN "public"."coupons" "c" ON "c"."name" = "made"."coupon_name"
  WHERE "made"."ordinal" > "c"."amount"
     OR ("made"."seq" > "c"."changed_seq"
         AND ("c"."disabled" OR "made"."claimed_at" < "c"."starts_at"
              OR "made"."claimed_at" >= "c"."ends_at"))
  LIMIT 1;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  IF beyond THEN
    RAISE EXCEPTION 'more is claimed of the coupon % than there is', stray
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'claims',
            CONSTRAINT = 'claims_coupon_amount';
  END IF;
  RAISE EXCEPTION 'the coupon % cannot be claimed then', stray
    USING ERRCODE = 'integrity_constraint_violation', TABLE = 'claims',
          CONSTRAINT = 'claims_while_active';
END $$;
