/** Whether orders that were acknowledged are there: each is bought again, which gives the same one. */
import { z } from "zod";
import type { ArrivalReport } from "../arriving.ts";
import { HttpConnection } from "../http.ts";

const connections = 32;
const orderSchema = z.object({ order_id: z.string() });

/** @returns how many of them are not, or are another */
export async function notThere(port: number, orders: ArrivalReport["orders"]): Promise<number> {
  const left = [...orders];
  let gone = 0;
  const ask = async (): Promise<void> => {
    const connection = await HttpConnection.open("127.0.0.1", port);
    for (let order = left.pop(); order !== undefined; order = left.pop()) {
      const [code, number] = order;
      const { status, body } = await connection.post(`/purchase?code=${code}`);
      const found = status === 200 ? orderSchema.parse(JSON.parse(body)).order_id : null;
      if (found !== number) gone += 1;
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: connections }, ask));
  return gone;
}
