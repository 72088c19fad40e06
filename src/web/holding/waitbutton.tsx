/** "Tell me when one comes free", and what there is to say to who waits. */
import { user } from "../session.ts";
import { subjectOf } from "./act.ts";
import { ActButton } from "./buttons.tsx";
import { lineOf, waitFor, waitNoMore } from "./waits.ts";

export function WaitButton({
  saleId,
  item,
  login,
}: {
  readonly saleId: number;
  readonly item: number | "any";
  /** Where one logs in: only who is known can be told. */
  readonly login: string;
}) {
  if (user.value === undefined) return null;
  if (user.value === null)
    return (
      <p>
        <a href={login}>Log in</a> to be told when one comes free.
      </p>
    );
  const line = lineOf(saleId, item);
  const subjects = [subjectOf(saleId, item)];
  if (line?.offer)
    return <p role="status">One came free and is held for you: buy it in the bar below.</p>;
  if (line !== null)
    return (
      <>
        <p role="status">
          {line.ahead === 0 ? "You are the first in line" : `${line.ahead} are ahead of you`}. What
          comes free is held for you, in the bar below; leave this shop open to hear of it.
        </p>
        <ActButton
          subjects={subjects}
          verb="leave"
          look="quiet"
          does={async () => {
            await waitNoMore(saleId);
            return { text: "You wait no more.", tone: "plain" };
          }}
        >
          Wait no more
        </ActButton>
      </>
    );
  return (
    <ActButton
      subjects={subjects}
      verb="wait"
      look="quiet"
      does={async () => {
        await waitFor(saleId, item);
        return { text: "You wait for it, and are told when one comes free.", tone: "good" };
      }}
    >
      Tell me when one comes free
    </ActButton>
  );
}
