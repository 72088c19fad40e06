CREATE TABLE "pictures" (
	"digest" text PRIMARY KEY NOT NULL,
	"bytes" "bytea" NOT NULL
);
--> statement-breakpoint
ALTER TABLE "products" ADD COLUMN "picture" text;--> statement-breakpoint
ALTER TABLE "products" ADD CONSTRAINT "products_picture_pictures_digest_fk" FOREIGN KEY ("picture") REFERENCES "public"."pictures"("digest") ON DELETE no action ON UPDATE no action;