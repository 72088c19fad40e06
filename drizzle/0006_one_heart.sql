CREATE TYPE "public"."buyer_kind" AS ENUM('guest', 'account', 'customer');--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'unauthenticated';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'price_changed';--> statement-breakpoint
-- Who bought before: in the hourly sale and of coupons whoever said so, in product sales accounts.
-- A default first, which costs nothing however many attempts there are.
ALTER TABLE "attempts" ADD COLUMN "buyer" "buyer_kind" DEFAULT 'guest';--> statement-breakpoint
UPDATE "attempts" SET "buyer" = CASE WHEN "user_id" IS NULL THEN NULL ELSE 'account'::"buyer_kind" END
WHERE "user_id" IS NULL
   OR "sale_id" IN (SELECT "id" FROM "sales" WHERE "kind" = 'product');--> statement-breakpoint
ALTER TABLE "attempts" ALTER COLUMN "buyer" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "purchases" ADD COLUMN "buyer" "buyer_kind" DEFAULT 'guest' NOT NULL;--> statement-breakpoint
UPDATE "purchases" SET "buyer" = 'account'
WHERE "sale_id" IN (SELECT "id" FROM "sales" WHERE "kind" = 'product');--> statement-breakpoint
ALTER TABLE "purchases" ALTER COLUMN "buyer" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "purchases" ADD COLUMN "idempotency_key" text;--> statement-breakpoint
ALTER TABLE "purchases" ADD COLUMN "request" text;--> statement-breakpoint
ALTER TABLE "purchases" ADD COLUMN "order_key" text;--> statement-breakpoint
ALTER TABLE "purchases" ADD COLUMN "order_request" text;--> statement-breakpoint
UPDATE "purchases" SET "idempotency_key" = "a"."idempotency_key", "request" = "a"."request"
FROM "attempts" "a"
WHERE "a"."code" = "purchases"."code" AND "a"."outcome" = 'reserved' AND "a"."idempotency_key" IS NOT NULL;--> statement-breakpoint
ALTER TABLE "purchases" DROP CONSTRAINT "purchases_user_ordinal_once";--> statement-breakpoint
ALTER TABLE "purchases" ADD CONSTRAINT "purchases_buyer_ordinal_once" UNIQUE("sale_id","buyer","user_id","user_ordinal");--> statement-breakpoint
ALTER TABLE "claims" ADD COLUMN "buyer" "buyer_kind" DEFAULT 'guest' NOT NULL;--> statement-breakpoint
ALTER TABLE "claims" ALTER COLUMN "buyer" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "claims" DROP CONSTRAINT "claims_one_a_user";--> statement-breakpoint
ALTER TABLE "claims" ADD CONSTRAINT "claims_one_a_buyer" UNIQUE("coupon_name","buyer","user_id");--> statement-breakpoint
ALTER TABLE "sales" ADD COLUMN "closed" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE TABLE "checkpoints" (
	"sale_id" integer PRIMARY KEY NOT NULL,
	"seq" bigint NOT NULL,
	"sold" integer NOT NULL,
	"open" text NOT NULL
);
--> statement-breakpoint
ALTER TABLE "checkpoints" ADD CONSTRAINT "checkpoints_sale_id_sales_id_fk" FOREIGN KEY ("sale_id") REFERENCES "public"."sales"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE TABLE "terms" (
	"epoch" bigint PRIMARY KEY NOT NULL,
	"after_seq" bigint NOT NULL,
	"began_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
DROP INDEX "attempts_reserved_code";--> statement-breakpoint
-- What became of a code that the ledger does not hold.
CREATE INDEX "attempts_by_code" ON "attempts" USING btree ("code") WHERE "attempts"."outcome" in ('reserved', 'released');
