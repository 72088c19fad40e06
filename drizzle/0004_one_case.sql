DROP INDEX "users_name_once";--> statement-breakpoint
CREATE UNIQUE INDEX "users_name_once" ON "users" USING btree (lower("username" collate "C"));