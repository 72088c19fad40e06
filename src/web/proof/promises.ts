/** A sale's audit as promises to a customer: what was promised, what was found, and what it means. */
import { count } from "../ui.tsx";

export type Audit = {
  readonly sale_id: number;
  readonly title: string;
  readonly stock: number;
  readonly sold: number;
  readonly per_user_limit: number;
  readonly max_units_one_user: number;
  readonly oversold_items: number;
  readonly users_over_limit: number;
  readonly purchases_without_attempt: number;
  readonly purchases_without_reservation: number;
  readonly purchases_outside_window: number;
  readonly attempts_without_purchase: number;
  readonly duplicate_codes: number;
  readonly announcement_altered: number;
  readonly purchases_altered: number;
  /** Null where people are not let in one after another. */
  readonly queue: QueueAudit | null;
  readonly ok: boolean;
};

type QueueAudit = {
  readonly joined: number;
  readonly drawn: number;
  readonly broken_commitments: number;
  readonly broken_draws: number;
  readonly left_out_of_draw: number;
  readonly reserved_without_ticket: number;
  readonly reserved_before_turn: number;
  readonly reserved_after_pass: number;
  readonly rates_without_attempt: number;
  readonly attempts_without_rate: number;
};

type Promised = {
  readonly title: string;
  readonly meaning: string;
  readonly found: (audit: Audit) => string;
  readonly kept: (audit: Audit) => boolean;
};

const none = (n: number, one: string, many: string): string =>
  n === 0 ? `No ${one}` : `${count(n)} ${n === 1 ? one : many}`;

/** What was promised of a sale; of one that nobody has looked at yet: what is of every one. */
export const promisesOf = (audit: Audit | null): readonly Promised[] =>
  audit?.queue == null ? promises : [...promises, ...queuePromises(audit.queue)];

const queuePromises = (queue: QueueAudit): readonly Promised[] => {
  const misdrawn = queue.broken_commitments + queue.broken_draws + queue.left_out_of_draw;
  const jumped =
    queue.reserved_without_ticket + queue.reserved_before_turn + queue.reserved_after_pass;
  const rates = queue.rates_without_attempt + queue.attempts_without_rate;
  return [
    {
      title: "Drawn as it was sealed",
      meaning:
        "The draw was made by the seal that stood before anybody came, of everybody who had come.",
      found: () =>
        misdrawn === 0 ? `${count(queue.drawn)} drawn, each in their place` : "It was not",
      kept: () => misdrawn === 0,
    },
    {
      title: "Everybody in their turn",
      meaning:
        "Nobody reserved anything before their turn had come, or after their pass had ended.",
      found: () => none(jumped, "reservation out of turn", "reservations out of turn"),
      kept: () => jumped === 0,
    },
    {
      title: "As fast as was said",
      meaning: "Whoever let people in faster, slower or not at all is on record with it.",
      found: () => none(rates, "rate that nobody has set", "rates that nobody has set"),
      kept: () => rates === 0,
    },
  ];
};

const promises: readonly Promised[] = [
  {
    title: "Never more than there is",
    meaning: "What was sold is counted and held against what was put on sale.",
    found: ({ sold, stock }) => `${count(sold)} of ${count(stock)} sold`,
    kept: ({ sold, stock }) => sold <= stock,
  },
  {
    title: "Nothing is sold twice",
    meaning: "Every item has as many owners as it has units, and no more.",
    found: ({ oversold_items: n }) => none(n, "item oversold", "items oversold"),
    kept: ({ oversold_items: n }) => n === 0,
  },
  {
    title: "The same limit for everybody",
    meaning: "Nobody has more than the sale allows, however fast their computer is.",
    found: ({ max_units_one_user: most, per_user_limit: limit }) =>
      `${count(most)} at most, ${count(limit)} allowed`,
    kept: ({ users_over_limit: n, max_units_one_user: most, per_user_limit: limit }) =>
      n === 0 && most <= limit,
  },
  {
    title: "Whoever was told “yours” has it",
    meaning:
      "Every purchase that was confirmed is on record. None was lost, not in a crash either.",
    found: ({ attempts_without_purchase: n }) => none(n, "purchase lost", "purchases lost"),
    kept: ({ attempts_without_purchase: n }) => n === 0,
  },
  {
    title: "No back door",
    meaning: "Every purchase came in at the counter, as an attempt that is on record in its order.",
    found: ({ purchases_without_attempt: n }) =>
      none(n, "purchase without an attempt", "purchases without an attempt"),
    kept: ({ purchases_without_attempt: n }) => n === 0,
  },
  {
    title: "First reserved, then bought",
    meaning: "Nobody bought what they had not reserved: no purchase jumped the queue.",
    found: ({ purchases_without_reservation: n }) =>
      none(n, "purchase without a reservation", "purchases without a reservation"),
    kept: ({ purchases_without_reservation: n }) => n === 0,
  },
  {
    title: "Only while it was open",
    meaning: "Nothing was sold before the sale began or after it ended.",
    found: ({ purchases_outside_window: n }) =>
      none(n, "purchase outside its time", "purchases outside its time"),
    kept: ({ purchases_outside_window: n }) => n === 0,
  },
  {
    title: "Every code once",
    meaning: "No two people were ever given the same reservation.",
    found: ({ duplicate_codes: n }) => none(n, "code given twice", "codes given twice"),
    kept: ({ duplicate_codes: n }) => n === 0,
  },
  {
    title: "As it was announced",
    meaning:
      "Prices, units and times are those of the announcement, or whoever changed them is on record.",
    found: ({ announcement_altered: n }) => (n === 0 ? "Nothing else" : "It is not"),
    kept: ({ announcement_altered: n }) => n === 0,
  },
  {
    title: "Nothing was touched up",
    meaning: "Each purchase has the time and the reservation that were noted when it was made.",
    found: ({ purchases_altered: n }) => none(n, "figure altered", "figures altered"),
    kept: ({ purchases_altered: n }) => n === 0,
  },
];
