ALTER TYPE "public"."attempt_kind" ADD VALUE 'waitlist_join';--> statement-breakpoint
ALTER TYPE "public"."attempt_kind" ADD VALUE 'waitlist_leave';--> statement-breakpoint
ALTER TYPE "public"."attempt_kind" ADD VALUE 'offer';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'waiting';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'waiting_again';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'available';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'too_many_lines';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'waitlist_full';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'left';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'not_waiting';--> statement-breakpoint
ALTER TYPE "public"."outcome_word" ADD VALUE 'offer_lapsed';