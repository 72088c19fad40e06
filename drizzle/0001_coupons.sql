ALTER TYPE "public"."attempt_kind" ADD VALUE 'create_coupon';--> statement-breakpoint
ALTER TYPE "public"."attempt_kind" ADD VALUE 'claim';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'coupon_created';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'coupon_exists';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'coupon_not_found';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'claimed';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'claimed_again';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'already_claimed';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'coupon_sold_out';--> statement-breakpoint
CREATE TABLE "claims" (
	"user_id" text NOT NULL,
	"coupon_name" text NOT NULL,
	"ordinal" integer NOT NULL,
	"coupon_amount" integer NOT NULL,
	"idempotency_key" text,
	"seq" bigint NOT NULL,
	"claimed_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "claims_coupon_name_ordinal_pk" PRIMARY KEY("coupon_name","ordinal"),
	CONSTRAINT "claims_one_a_user" UNIQUE("user_id","coupon_name"),
	CONSTRAINT "claims_in_amount" CHECK ("claims"."ordinal" between 1 and "claims"."coupon_amount")
);
--> statement-breakpoint
CREATE TABLE "coupons" (
	"id" integer PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"amount" integer NOT NULL,
	"remaining_amount" integer NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"seq" bigint NOT NULL,
	CONSTRAINT "coupons_name_once" UNIQUE("name"),
	CONSTRAINT "coupons_amount" UNIQUE("name","amount"),
	CONSTRAINT "coupons_amount_positive" CHECK ("coupons"."amount" > 0),
	CONSTRAINT "coupons_remaining" CHECK ("coupons"."remaining_amount" between 0 and "coupons"."amount"),
	CONSTRAINT "coupons_name_length" CHECK (char_length("coupons"."name") between 1 and 255)
);
--> statement-breakpoint
ALTER TABLE "attempts" ADD COLUMN "coupon_name" text;--> statement-breakpoint
ALTER TABLE "claims" ADD CONSTRAINT "claims_coupon_amount" FOREIGN KEY ("coupon_name","coupon_amount") REFERENCES "public"."coupons"("name","amount") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "claims_recent_key" ON "claims" USING btree ("claimed_at") WHERE "claims"."idempotency_key" is not null;