/**
 * The waiting rooms of the drop: of the open sale, where one has to wait to be let in, and of the next
 * one, which opens some minutes before it.
 */
import { computed, effect, signal, untracked } from "@preact/signals";
import { connection } from "../api.ts";
import { type Room, roomOf } from "../queue/room.ts";
import { WaitingRoom } from "../queue/waiting.tsx";
import { limitWords, nextWords } from "./holdings.ts";
import { nextQueueId, queueId, sale, soldOut } from "./sale.ts";

/** Of the open sale; null where anybody may take something at once. */
export const room = signal<Room | null>(null);
const nextRoom = signal<Room | null>(null);

effect(() => {
  const [now, next] = [queueId.value, nextQueueId.value];
  untracked(() => {
    room.value = now === null ? null : roomOf(now);
    nextRoom.value = next === null || next === now ? null : roomOf(next);
  });
});

/** Whether it is known what stands above the wall, which would be moved by it. */
export const areRoomsKnown = computed(
  () =>
    connection.value === "lost" ||
    (sale.value !== undefined &&
      [room.value, nextRoom.value].every((one) => one === null || one.queue.value !== null)),
);

export function Rooms() {
  const [now, next] = [room.value, nextRoom.value];
  const scene = { login: null, goods: "#goods", next: nextWords("") };
  return (
    <>
      {now !== null && (
        <WaitingRoom
          key={now.saleId}
          room={now}
          tells
          scene={{
            ...scene,
            full: limitWords.value,
            isSoldOut: soldOut.value,
            ...(next !== null && { of: "The open sale" }),
          }}
        />
      )}
      {next !== null && (
        <WaitingRoom
          key={next.saleId}
          room={next}
          tells={now === null || soldOut.value}
          scene={{
            ...scene,
            full: null,
            isSoldOut: false,
            name: "Waiting room of the next sale",
            of: "The next sale",
          }}
        />
      )}
    </>
  );
}
