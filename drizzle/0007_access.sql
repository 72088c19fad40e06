CREATE TABLE "api_keys" (
	"id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "api_keys_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"name" text NOT NULL,
	"hash" text NOT NULL,
	"scopes" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"last_used_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	CONSTRAINT "api_keys_hash_unique" UNIQUE("hash")
);
--> statement-breakpoint
CREATE UNIQUE INDEX "api_keys_name_once" ON "api_keys" USING btree ("name") WHERE "api_keys"."revoked_at" is null;--> statement-breakpoint
CREATE TABLE "login_limits" (
	"key" text PRIMARY KEY NOT NULL,
	"full_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
-- Names are trimmed and composed from now on. What is there stays as it is; whoever operates it is told.
DO $$
DECLARE
	found bigint;
	people bigint;
BEGIN
	SELECT count(*) INTO found FROM "coupons" WHERE "name" <> normalize(btrim("name"), NFC);
	IF found > 0 THEN
		RAISE WARNING '% coupons have names with spaces around them or letters that are not composed: they can be claimed no more by these names', found;
	END IF;
	SELECT count(*) INTO people FROM (
		SELECT "user_id" FROM "claims" UNION SELECT "user_id" FROM "purchases"
	) AS everybody WHERE "user_id" <> normalize(btrim("user_id"), NFC);
	IF people > 0 THEN
		RAISE WARNING '% user ids have spaces around them or letters that are not composed: whoever comes by one of these is somebody else now', people;
	END IF;
EXCEPTION WHEN OTHERS THEN
	-- Only a database in UTF-8 can compose letters.
	NULL;
END $$;
