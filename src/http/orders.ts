/** An order as it is shown, whoever asks for it. */
import { orderStatus } from "../ledger/commands.ts";
import { productImage } from "../sales/catalogue.ts";
import type { Order } from "../store/orders.ts";
import { time } from "./fields.ts";

/** An order as its buyer sees it. */
export function showOrder(order: Order) {
  const { seq, buyer, userId, saleId, saleTitle, itemId, productId, name, priceCents } = order;
  const { codes, refunded } = order;
  const image =
    productId === null ? `/sales/${saleId}/items/${itemId}/image.svg` : productImage(productId);
  return {
    order_id: String(seq),
    code: codes[0] ?? "",
    codes,
    user_id: userId,
    buyer,
    sale_id: saleId,
    sale_title: saleTitle,
    flash_sale_id: productId === null ? null : saleId,
    flash_sale_title: productId === null ? null : saleTitle,
    product_id: productId,
    item: { id: itemId, name, image_url: image, price_cents: priceCents },
    quantity: codes.length,
    total_cents: codes.length * priceCents,
    status: orderStatus(codes.length, codes.length - refunded),
    refunded_quantity: refunded,
    refunded_cents: refunded * priceCents,
    purchased_at: time(order.purchasedAt),
  };
}
