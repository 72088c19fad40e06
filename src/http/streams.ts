/** Bodies that are made as they are read. */

/**
 * A body that asks for its next part when the client has taken the last one.
 * @param ended called once, when there is no more, something failed, or the client is gone
 */
export function streamOf(
  parts: Pick<AsyncGenerator<string, void> | Generator<string, void>, "next" | "return">,
  ended: () => void,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let isOver = false;
  const end = (): void => {
    if (!isOver) ended();
    isOver = true;
  };
  return new ReadableStream<Uint8Array>(
    {
      pull: async (stream) => {
        try {
          const { done, value } = await parts.next();
          if (done !== true) stream.enqueue(encoder.encode(value));
          else {
            end();
            stream.close();
          }
        } catch (error) {
          end();
          // The connection is cut: the client must not take a part for the whole.
          stream.error(error);
        }
      },
      cancel: async () => {
        end();
        await parts.return();
      },
    },
    { highWaterMark: 1 },
  );
}
