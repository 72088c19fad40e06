ALTER TYPE "public"."attempt_kind" ADD VALUE 'extend';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'extended';--> statement-breakpoint
CREATE TABLE "extensions" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"sale_id" integer NOT NULL,
	"code" uuid NOT NULL,
	"extended_at" timestamp (3) with time zone NOT NULL,
	"due" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "extensions_in_bounds" CHECK ("extensions"."due" > "extensions"."extended_at" and "extensions"."due" - "extensions"."extended_at" <= interval '15 minutes')
);
--> statement-breakpoint
ALTER TABLE "extensions" ADD CONSTRAINT "extensions_sale_id_sales_id_fk" FOREIGN KEY ("sale_id") REFERENCES "public"."sales"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "extensions_by_sale" ON "extensions" USING btree ("sale_id","seq");
