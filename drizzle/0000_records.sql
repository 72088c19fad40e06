CREATE TYPE "public"."attempt_kind" AS ENUM('checkout', 'purchase', 'release');--> statement-breakpoint
CREATE TYPE "public"."outcome_word" AS ENUM('reserved', 'reserved_again', 'sale_not_found', 'item_not_found', 'sale_not_open', 'item_sold_out', 'sold_out', 'item_reserved', 'user_limit_reached', 'idempotency_key_reused', 'purchased', 'purchased_again', 'code_not_found', 'code_expired', 'sale_ended', 'released', 'released_again', 'already_purchased');--> statement-breakpoint
CREATE TYPE "public"."sale_kind" AS ENUM('hourly', 'product');--> statement-breakpoint
CREATE TABLE "attempts" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"kind" "attempt_kind" NOT NULL,
	"outcome" "outcome_word" NOT NULL,
	"sale_id" integer,
	"item_id" integer,
	"user_id" text,
	"code" uuid,
	"idempotency_key" text,
	"request" text
) PARTITION BY RANGE ("seq");
--> statement-breakpoint
-- drizzle cannot say PARTITION BY. Later partitions are made by the program before they are
-- needed, each of ten million attempts: src/store/partitions.ts.
CREATE TABLE "attempts_p0" PARTITION OF "attempts" FOR VALUES FROM (1) TO (10000001);
--> statement-breakpoint
CREATE TABLE "items" (
	"sale_id" integer NOT NULL,
	"id" integer NOT NULL,
	"name" text NOT NULL,
	"picture_seed" text NOT NULL,
	"price_cents" integer NOT NULL,
	"stock" integer NOT NULL,
	CONSTRAINT "items_sale_id_id_pk" PRIMARY KEY("sale_id","id"),
	CONSTRAINT "items_stock" UNIQUE("sale_id","id","stock"),
	CONSTRAINT "items_number" CHECK ("items"."id" > 0),
	CONSTRAINT "items_price" CHECK ("items"."price_cents" >= 0),
	CONSTRAINT "items_stock_positive" CHECK ("items"."stock" > 0)
);
--> statement-breakpoint
CREATE TABLE "leader" (
	"id" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"epoch" bigint NOT NULL,
	"url" text NOT NULL,
	"since" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "leader_is_one_row" CHECK ("leader"."id" = 1)
);
--> statement-breakpoint
CREATE TABLE "purchases" (
	"sale_id" integer NOT NULL,
	"item_id" integer NOT NULL,
	"unit" integer NOT NULL,
	"item_stock" integer NOT NULL,
	"user_id" text NOT NULL,
	"user_ordinal" integer NOT NULL,
	"user_limit" integer NOT NULL,
	"code" uuid NOT NULL,
	"seq" bigint NOT NULL,
	"purchased_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "purchases_sale_id_item_id_unit_pk" PRIMARY KEY("sale_id","item_id","unit"),
	CONSTRAINT "purchases_code_once" UNIQUE("code"),
	CONSTRAINT "purchases_user_ordinal_once" UNIQUE("sale_id","user_id","user_ordinal"),
	CONSTRAINT "purchases_unit_in_stock" CHECK ("purchases"."unit" between 1 and "purchases"."item_stock"),
	CONSTRAINT "purchases_user_in_limit" CHECK ("purchases"."user_ordinal" between 1 and "purchases"."user_limit")
);
--> statement-breakpoint
CREATE TABLE "sales" (
	"id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "sales_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"kind" "sale_kind" NOT NULL,
	"title" text NOT NULL,
	"starts_at" timestamp (3) with time zone NOT NULL,
	"ends_at" timestamp (3) with time zone NOT NULL,
	"per_user_limit" integer NOT NULL,
	"reservation_ttl_ms" integer NOT NULL,
	"item_count" integer NOT NULL,
	"attempts" bigint DEFAULT 0 NOT NULL,
	"attempts_seq" bigint DEFAULT 0 NOT NULL,
	"settled" boolean DEFAULT false NOT NULL,
	CONSTRAINT "sales_limit" UNIQUE("id","per_user_limit"),
	CONSTRAINT "sales_window" CHECK ("sales"."starts_at" < "sales"."ends_at"),
	CONSTRAINT "sales_limit_positive" CHECK ("sales"."per_user_limit" > 0)
);
--> statement-breakpoint
ALTER TABLE "items" ADD CONSTRAINT "items_sale_id_sales_id_fk" FOREIGN KEY ("sale_id") REFERENCES "public"."sales"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "purchases" ADD CONSTRAINT "purchases_item_stock" FOREIGN KEY ("sale_id","item_id","item_stock") REFERENCES "public"."items"("sale_id","id","stock") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "purchases" ADD CONSTRAINT "purchases_sale_limit" FOREIGN KEY ("sale_id","user_limit") REFERENCES "public"."sales"("id","per_user_limit") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "attempts_effective" ON "attempts" USING btree ("sale_id","seq") WHERE "attempts"."outcome" in ('reserved', 'purchased', 'released');--> statement-breakpoint
CREATE INDEX "attempts_reserved_code" ON "attempts" USING btree ("code") WHERE "attempts"."outcome" = 'reserved';--> statement-breakpoint
CREATE UNIQUE INDEX "sales_one_an_hour" ON "sales" USING btree ("kind","starts_at") WHERE "sales"."kind" = 'hourly';--> statement-breakpoint
CREATE INDEX "sales_by_end" ON "sales" USING btree ("ends_at");