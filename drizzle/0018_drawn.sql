ALTER TABLE "draws" ADD COLUMN "entries_digest" text;--> statement-breakpoint
ALTER TABLE "draws" ADD COLUMN "drawn" integer;--> statement-breakpoint
ALTER TABLE "draws" ADD COLUMN "drawn_seq" bigint;--> statement-breakpoint
ALTER TABLE "draws" ADD CONSTRAINT "draws_digest" CHECK ("draws"."entries_digest" ~ '^[0-9a-f]{64}$');--> statement-breakpoint
ALTER TABLE "draws" ADD CONSTRAINT "draws_drawn" CHECK (num_nulls("draws"."entries_digest", "draws"."drawn", "draws"."drawn_seq") in (0, 3));--> statement-breakpoint
-- What a sale is drawn by, and what came of it, is never another.
CREATE FUNCTION "draws_stay"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the draw of sale % is what it is', OLD."sale_id"
    USING ERRCODE = 'integrity_constraint_violation', TABLE = 'draws', CONSTRAINT = 'draws_stay';
END $$;--> statement-breakpoint
CREATE TRIGGER "draws_stay" BEFORE UPDATE ON "draws" FOR EACH ROW
WHEN (OLD."entries_digest" IS NOT NULL OR NEW."sale_id" <> OLD."sale_id"
  OR NEW."seed" <> OLD."seed" OR NEW."commitment" <> OLD."commitment")
EXECUTE FUNCTION "draws_stay"();
