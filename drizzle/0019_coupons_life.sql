ALTER TYPE "public"."attempt_kind" ADD VALUE 'change_coupon';--> statement-breakpoint
ALTER TYPE "public"."attempt_kind" ADD VALUE 'remove_coupon';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'coupon_changed';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'coupon_removed';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'coupon_claimed';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'coupon_not_active';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'amount_too_small';--> statement-breakpoint
ALTER TABLE "claims" DROP CONSTRAINT "claims_coupon_amount";--> statement-breakpoint
ALTER TABLE "coupons" DROP CONSTRAINT "coupons_amount";--> statement-breakpoint
ALTER TABLE "coupons" ADD COLUMN "starts_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "coupons" ADD COLUMN "ends_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "coupons" ADD COLUMN "disabled" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "coupons" ADD COLUMN "changed_seq" bigint;--> statement-breakpoint
ALTER TABLE "claims" ADD CONSTRAINT "claims_coupon" FOREIGN KEY ("coupon_name") REFERENCES "public"."coupons"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "coupons" ADD CONSTRAINT "coupons_window" CHECK ("coupons"."starts_at" < "coupons"."ends_at");--> statement-breakpoint
-- What is claimed is within what its coupon has at the end of the statement; and where the coupon was
-- changed, what is claimed after that is claimed while it can be.
CREATE FUNCTION "claims_are_allowed"() RETURNS trigger LANGUAGE plpgsql AS $$
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
END $$;--> statement-breakpoint
CREATE TRIGGER "claims_allowed" AFTER INSERT ON "claims"
REFERENCING NEW TABLE AS "made" FOR EACH STATEMENT EXECUTE FUNCTION "claims_are_allowed"();--> statement-breakpoint
-- Nor are there ever fewer than were claimed.
CREATE FUNCTION "coupons_keep_what_is_claimed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM "public"."claims" "c"
             WHERE "c"."coupon_name" = NEW."name" AND "c"."ordinal" > NEW."amount") THEN
    RAISE EXCEPTION 'more is claimed of the coupon %', NEW."name"
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'coupons',
            CONSTRAINT = 'coupons_amount_claimed';
  END IF;
  RETURN NEW;
END $$;--> statement-breakpoint
CREATE TRIGGER "coupons_amount_claimed" BEFORE UPDATE OF "amount" ON "coupons"
FOR EACH ROW WHEN (NEW."amount" < OLD."amount") EXECUTE FUNCTION "coupons_keep_what_is_claimed"();
