-- By words that the migration before has added.
CREATE INDEX "attempts_about_code" ON "attempts" USING btree ("code") WHERE "attempts"."outcome" in ('purchased_again', 'already_purchased', 'code_expired', 'extended');--> statement-breakpoint
CREATE INDEX "attempts_after_sale" ON "attempts" USING btree ("sale_id","seq") WHERE "attempts"."kind" in ('refund', 'restock');
