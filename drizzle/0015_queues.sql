CREATE TYPE "public"."sale_entry" AS ENUM('open', 'queue');--> statement-breakpoint
ALTER TYPE "public"."attempt_kind" ADD VALUE 'join';--> statement-breakpoint
ALTER TYPE "public"."attempt_kind" ADD VALUE 'change_queue';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'not_admitted';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'joined';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'joined_again';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'already_joined';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'no_queue';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'queue_full';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'queue_changed';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'too_many_changes';--> statement-breakpoint
CREATE TABLE "draws" (
	"sale_id" integer PRIMARY KEY NOT NULL,
	"seed" text NOT NULL,
	"commitment" text NOT NULL,
	CONSTRAINT "draws_seed" CHECK ("draws"."seed" ~ '^[0-9a-f]{64}$'),
	CONSTRAINT "draws_committed" CHECK ("draws"."commitment" = encode(sha256(decode("draws"."seed", 'hex')), 'hex'))
);
--> statement-breakpoint
CREATE TABLE "queue_rates" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"sale_id" integer NOT NULL,
	"changed_at" timestamp (3) with time zone NOT NULL,
	"admit_per_second" integer NOT NULL,
	"paused" boolean NOT NULL,
	CONSTRAINT "queue_rates_positive" CHECK ("queue_rates"."admit_per_second" > 0)
);
--> statement-breakpoint
CREATE TABLE "spent_challenges" (
	"challenge" text PRIMARY KEY NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tickets" (
	"sale_id" integer NOT NULL,
	"number" integer NOT NULL,
	"buyer" "buyer_kind" NOT NULL,
	"user_id" text NOT NULL,
	"ticket" uuid NOT NULL,
	"supersedes" integer,
	"idempotency_key" text,
	"seq" bigint NOT NULL,
	"joined_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "tickets_sale_id_number_pk" PRIMARY KEY("sale_id","number"),
	CONSTRAINT "tickets_one_a_buyer" UNIQUE NULLS NOT DISTINCT("sale_id","buyer","user_id","supersedes"),
	CONSTRAINT "tickets_number" CHECK ("tickets"."number" > 0),
	CONSTRAINT "tickets_supersede_earlier" CHECK ("tickets"."supersedes" < "tickets"."number")
);
--> statement-breakpoint
ALTER TABLE "checkpoints" ADD COLUMN "active" text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE "sales" ADD COLUMN "entry" "sale_entry" DEFAULT 'open' NOT NULL;--> statement-breakpoint
ALTER TABLE "sales" ADD COLUMN "admit_per_second" integer;--> statement-breakpoint
ALTER TABLE "sales" ADD COLUMN "pass_ttl_ms" integer;--> statement-breakpoint
ALTER TABLE "draws" ADD CONSTRAINT "draws_sale_id_sales_id_fk" FOREIGN KEY ("sale_id") REFERENCES "public"."sales"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "queue_rates" ADD CONSTRAINT "queue_rates_sale_id_sales_id_fk" FOREIGN KEY ("sale_id") REFERENCES "public"."sales"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "queue_rates_by_sale" ON "queue_rates" USING btree ("sale_id","seq");--> statement-breakpoint
CREATE INDEX "spent_challenges_by_end" ON "spent_challenges" USING btree ("expires_at");--> statement-breakpoint
ALTER TABLE "sales" ADD CONSTRAINT "sales_queue_rate" CHECK (("sales"."entry" = 'queue') = (coalesce("sales"."admit_per_second", 0) > 0));--> statement-breakpoint
ALTER TABLE "sales" ADD CONSTRAINT "sales_queue_pass" CHECK (("sales"."entry" = 'queue') = (coalesce("sales"."pass_ttl_ms", 0) > 0));--> statement-breakpoint
-- Once a statement: what a batch has joined follows on what is there, in sales that have a queue, and
-- whoever joins again is the buyer that they were.
CREATE FUNCTION "tickets_follow"() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  stray integer;
BEGIN
  SELECT "sale_id" INTO stray FROM (
    SELECT "sale_id", min("number") AS lowest, max("number") AS highest, count(*) AS made
    FROM "joined" GROUP BY "sale_id") AS "batch"
  WHERE highest - lowest + 1 <> made
    OR lowest > 1 AND NOT EXISTS (
      SELECT FROM "public"."tickets" "t" WHERE "t"."sale_id" = "batch"."sale_id" AND "t"."number" = lowest - 1)
    OR NOT EXISTS (
      SELECT FROM "public"."sales" "s" WHERE "s"."id" = "batch"."sale_id" AND "s"."entry" = 'queue')
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'the tickets of sale % do not follow each other, or it has no queue', stray
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'tickets', CONSTRAINT = 'tickets_follow';
  END IF;
  SELECT "j"."number" INTO stray FROM "joined" "j"
  WHERE "j"."supersedes" IS NOT NULL AND NOT EXISTS (
    SELECT FROM "public"."tickets" "t"
    WHERE "t"."sale_id" = "j"."sale_id" AND "t"."number" = "j"."supersedes"
      AND "t"."buyer" = "j"."buyer" AND "t"."user_id" = "j"."user_id")
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ticket % supersedes one of another buyer', stray
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'tickets', CONSTRAINT = 'tickets_same_buyer';
  END IF;
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER "tickets_follow" AFTER INSERT ON "tickets"
REFERENCING NEW TABLE AS "joined" FOR EACH STATEMENT EXECUTE FUNCTION "tickets_follow"();--> statement-breakpoint
-- In a sale with a queue nobody buys who has not joined it.
CREATE FUNCTION "purchases_have_joined"() RETURNS trigger LANGUAGE plpgsql
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
      AND "t"."joined_at" <= "sold"."purchased_at")
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'what is sold under code % is sold to somebody who has not joined', stray
      USING ERRCODE = 'integrity_constraint_violation', TABLE = 'purchases',
            CONSTRAINT = 'purchases_joined';
  END IF;
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER "purchases_joined" AFTER INSERT ON "purchases"
REFERENCING NEW TABLE AS "sold" FOR EACH STATEMENT EXECUTE FUNCTION "purchases_have_joined"();
