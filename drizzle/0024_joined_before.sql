-- Whoever buys in a sale with a queue has joined before, by the journal's order: a clock may be set back.
CREATE OR REPLACE FUNCTION "purchases_have_joined"() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  stray uuid;
BEGIN
  SELECT "sold"."code" INTO stray
  FROM (SELECT DISTINCT "sale_id" FROM "sold") AS "of"
    JOIN "public"."sales" "s" ON "s"."id" = "of"."sale_id" AND "s"."entry" = 'queue'
    JOIN "sold" ON "sold"."sale_id" = "s"."id"
  WHERE NOT EXISTS (
    SELECT FROM "public"."tickets" "t"
    WHERE "t"."sale_id" = "sold"."sale_id" AND "t"."buyer" = "sold"."buyer"
      AND "t"."user_id" = "sold"."user_id" AND "t"."supersedes" IS NULL
      AND "t"."seq" < "sold"."seq")
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'what is sold under code % is sold to somebody who has not joined', stray
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'purchases',
            CONSTRAINT = 'purchases_joined';
  END IF;
  RETURN NULL;
END $$;
