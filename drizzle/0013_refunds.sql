CREATE TYPE "public"."actor_kind" AS ENUM('account', 'key');--> statement-breakpoint
ALTER TYPE "public"."attempt_kind" ADD VALUE 'refund';--> statement-breakpoint
ALTER TYPE "public"."attempt_kind" ADD VALUE 'restock';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'refunded';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'refunded_again';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'already_refunded';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'too_many_units';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'order_not_found';--> statement-breakpoint
CREATE TABLE "activity" (
	"seq" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "activity_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp (3) with time zone NOT NULL,
	"actor" "actor_kind" NOT NULL,
	"who" text NOT NULL,
	"what" text NOT NULL,
	"before" text,
	"after" text,
	"attempt" bigint,
	"idempotency_key" text,
	"request" text
);--> statement-breakpoint
CREATE TABLE "refunds" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"refunded_at" timestamp (3) with time zone NOT NULL,
	"order_seq" bigint NOT NULL,
	"sale_id" integer NOT NULL,
	"units" integer NOT NULL,
	"restocked" boolean NOT NULL,
	CONSTRAINT "refunds_units_positive" CHECK ("refunds"."units" > 0),
	CONSTRAINT "refunds_after_order" CHECK ("refunds"."seq" > "refunds"."order_seq")
);--> statement-breakpoint
ALTER TABLE "purchases" DROP CONSTRAINT "purchases_code_once";--> statement-breakpoint
ALTER TABLE "purchases" DROP CONSTRAINT "purchases_buyer_ordinal_once";--> statement-breakpoint
DROP INDEX "purchases_by_user";--> statement-breakpoint
ALTER TABLE "purchases" DROP CONSTRAINT "purchases_sale_id_item_id_unit_pk";--> statement-breakpoint
ALTER TABLE "purchases" ADD CONSTRAINT "purchases_code_once" PRIMARY KEY("code");--> statement-breakpoint
ALTER TABLE "purchases" ADD COLUMN "refunded_seq" bigint;--> statement-breakpoint
ALTER TABLE "purchases" ADD COLUMN "freed_seq" bigint;--> statement-breakpoint
ALTER TABLE "refunds" ADD CONSTRAINT "refunds_sale_id_sales_id_fk" FOREIGN KEY ("sale_id") REFERENCES "public"."sales"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "activity_key_once" ON "activity" USING btree ("actor","who","idempotency_key") WHERE "activity"."idempotency_key" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "activity_by_attempt" ON "activity" USING btree ("attempt") WHERE "activity"."attempt" is not null;--> statement-breakpoint
CREATE INDEX "refunds_by_order" ON "refunds" USING btree ("order_seq");--> statement-breakpoint
CREATE INDEX "refunds_by_sale" ON "refunds" USING btree ("sale_id","seq");--> statement-breakpoint
CREATE INDEX "purchases_by_order" ON "purchases" USING btree ("seq");--> statement-breakpoint
CREATE INDEX "purchases_refunded" ON "purchases" USING btree ("seq") WHERE "purchases"."refunded_seq" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "purchases_buyer_ordinal_once" ON "purchases" USING btree ("sale_id","buyer","user_id","user_ordinal") WHERE "purchases"."refunded_seq" is null;--> statement-breakpoint
CREATE INDEX "purchases_by_user" ON "purchases" USING btree ("user_id" text_pattern_ops,"seq");--> statement-breakpoint
ALTER TABLE "purchases" ADD CONSTRAINT "purchases_unit_once" UNIQUE NULLS NOT DISTINCT("sale_id","item_id","unit","freed_seq");--> statement-breakpoint
ALTER TABLE "purchases" ADD CONSTRAINT "purchases_refunded_after" CHECK ("purchases"."refunded_seq" > "purchases"."seq");--> statement-breakpoint
ALTER TABLE "purchases" ADD CONSTRAINT "purchases_freed_by_refund" CHECK ("purchases"."freed_seq" is null or "purchases"."freed_seq" = "purchases"."refunded_seq");--> statement-breakpoint
-- What was taken back once stays so, by that attempt: another refund of it is refused.
CREATE FUNCTION "refunds_are_final"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what was sold under code % was taken back before', OLD."code"
    USING ERRCODE = 'integrity_constraint_violation', TABLE = 'purchases',
          CONSTRAINT = 'purchases_refunded_once';
END $$;--> statement-breakpoint
CREATE TRIGGER "purchases_refunded_once" BEFORE UPDATE OF "refunded_seq", "freed_seq" ON "purchases"
FOR EACH ROW WHEN (OLD."refunded_seq" IS NOT NULL) EXECUTE FUNCTION "refunds_are_final"();
