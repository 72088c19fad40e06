/** What is known of the sales in which something is held: their titles, and when they end. */
import { signal } from "@preact/signals";
import { answersEach } from "../answers.ts";
import { get } from "../api.ts";

/** Of a sale, what a hold depends on. */
type SaleTerms = {
  readonly id: number;
  readonly title: string;
  readonly kind: string;
  readonly starts_at: string;
  readonly ends_at: string;
  readonly per_user_limit: number;
  readonly reservation_ttl_ms: number;
};

const terms = signal<ReadonlyMap<number, SaleTerms>>(new Map());
/** What a page has learnt of a sale. */
export function noteSale(sale: SaleTerms): void {
  const known = terms.peek().get(sale.id);
  if (known?.ends_at === sale.ends_at && known.title === sale.title) return;
  terms.value = new Map(terms.peek()).set(sale.id, sale);
}
export const termsOf = (saleId: number): SaleTerms | undefined => terms.value.get(saleId);

const answersOf = answersEach<number>();

export async function askSale(id: number): Promise<void> {
  const isTaken = answersOf(id).ask();
  try {
    const sale = await get<SaleTerms>(`/sales/${id}`);
    if (isTaken()) noteSale(sale);
  } catch {
    // The hold's own end has to do.
  }
}
export function askUnknownSale(id: number): void {
  if (!terms.peek().has(id)) void askSale(id);
}
