ALTER TABLE "sales" ADD COLUMN "stored_after_seq" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
-- A sale of which no attempt was counted has none up to where the count stands. Of others nobody
-- knows: 0, their whole journal.
UPDATE "sales" SET "stored_after_seq" = "attempts_seq" WHERE "attempts" = 0;
