/**
 * The waiting room as it is seen: before the opening, the draw, the line, the turn, and what comes
 * after. One section that stays where it is; what is in it changes with the phase.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { connection } from "../api.ts";
import { acts } from "../holding/store.ts";
import { line } from "../live.ts";
import { sentenceOf } from "../problems.ts";
import { user } from "../session.ts";
import { clockText, Countdown, Ring, secondsUntil, whenText } from "../time.tsx";
import { Button, count, LinkButton } from "../ui.tsx";
import { announced, isCalling, tell, toggleCall } from "./call.ts";
import type { Phase, Place, Queue, Room } from "./room.ts";

/** What the page that the room is on knows of the sale. */
type Scene = {
  /** Where to log in, where only accounts may join. */
  readonly login: string | null;
  /** Where the goods are: the address of a part of this page. */
  readonly goods: string;
  /** What comes next, once this one is over or sold out. */
  readonly next: ComponentChildren;
  /** Why nothing more may be had by this buyer; null when it may. */
  readonly full: string | null;
  readonly isSoldOut: boolean;
  /** As it is called by who cannot see it, and has another one on the same page. */
  readonly name?: string;
  /** Which sale it is of, where there are two rooms on the page. */
  readonly of?: string;
};

async function join(room: Room): Promise<void> {
  if (room.isJoining.peek()) return;
  room.isJoining.value = true;
  room.failed.value = null;
  try {
    await room.join();
  } catch (error) {
    room.failed.value = sentenceOf(error);
  }
  room.isJoining.value = false;
}

function JoinButton({
  room,
  login,
  children,
}: {
  readonly room: Room;
  readonly login: string | null;
  readonly children: ComponentChildren;
}) {
  if (login !== null && user.value === null)
    return <LinkButton href={login}>Log in to wait</LinkButton>;
  return (
    <>
      <Button busy={room.isJoining.value} onClick={() => void join(room)}>
        {children}
      </Button>
      <p class="queue-said" role="status">
        {room.isProving.value
          ? "Your browser shows that it is no robot: a second or two."
          : room.failed.value}
      </p>
    </>
  );
}

const hereWords = (n: number): string =>
  n === 0 ? "Nobody is here yet." : n === 1 ? "One is here." : `${count(n)} are here.`;

const keptWords = (): string =>
  user.value
    ? "You may close this page: your place is kept with your account, on every device."
    : "You may close this page: your place is kept in this browser. Come back with it.";

/** The promise that was made before anybody came, and how it is checked. */
const Seal = ({ queue }: { readonly queue: Queue }) =>
  queue.commitment === null ? null : (
    <p class="queue-seal small-text soft">
      The draw was sealed before anybody came:{" "}
      <code class="code">{queue.commitment.slice(0, 16)}…</code>{" "}
      <a href={`/fair?sale=${queue.sale_id}`}>How anybody can check it</a>
    </p>
  );

const Call = () => (
  <Button look="quiet" small onClick={() => void toggleCall()}>
    {isCalling.value ? "Do not call me" : "Call me when it is my turn"}
  </Button>
);

// --- Before the opening, and the draw ---------------------------------------------------------

function Gathering({ room, queue, scene }: PartProps) {
  const place = room.place.value;
  const opens = whenText(queue.opens_at);
  return (
    <>
      <div class="queue-head">
        <div class="stack">
          <h2>{place === null ? "The waiting room" : "You are in the draw"}</h2>
          <p>
            It does not matter when you came before the opening {opens}: everybody who is here by
            then is drawn, and the draw decides who goes in first.
          </p>
        </div>
        <Countdown to={queue.opens_at} label="The draw in" />
      </div>
      <p class="queue-here num">
        <strong>{hereWords(queue.joined)}</strong>
        {place !== null &&
          ` Your number is ${count(place.number)}; it says when you came, and no more.`}
      </p>
      <div class="queue-acts">
        {place === null ? (
          <JoinButton room={room} login={scene.login}>
            Wait here
          </JoinButton>
        ) : (
          <Call />
        )}
      </div>
      {place !== null && <p class="soft">{keptWords()}</p>}
      <Seal queue={queue} />
    </>
  );
}

const tumbleMs = 70;
const stillMs = 1_800;
const isStill = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Figures that run until the draw has been made. */
function Tumbling({ most }: { readonly most: number }) {
  const [figure, setFigure] = useState<number | null>(null);
  useEffect(() => {
    if (isStill()) return undefined;
    const timer = setInterval(() => setFigure(1 + Math.floor(Math.random() * most)), tumbleMs);
    return () => clearInterval(timer);
  }, [most]);
  return <>{figure === null ? "…" : count(figure)}</>;
}

const Drawing = ({ place, queue }: { readonly place: Place; readonly queue: Queue }) => (
  <>
    <h2>The draw</h2>
    <p class="queue-draw" aria-hidden="true">
      <span>
        <small>Number</small>
        {count(place.number)}
      </span>
      <span class="queue-arrow">→</span>
      <span class="queue-tumble">
        <small>Rank</small>
        <Tumbling most={Math.max(1, queue.joined)} />
      </span>
    </p>
    <p>{count(queue.joined)} are being put in order. It takes a moment.</p>
  </>
);

/** For a moment after the draw: what became of the number. */
function Drawn({ place, queue }: { readonly place: Place; readonly queue: Queue }) {
  return (
    <>
      <h2>Drawn</h2>
      <p class="queue-draw">
        <span>
          <small>Number</small>
          {count(place.number)}
        </span>
        <span class="queue-arrow" aria-hidden="true">
          →
        </span>
        <span class="queue-rank">
          <small>Rank</small>
          {count(place.rank ?? 0)}
        </span>
      </p>
      <p>Of {count(queue.drawn ?? queue.joined)}.</p>
    </>
  );
}

// --- In the line ------------------------------------------------------------------------------

/** "less than a minute", "about 6 minutes", "about 2 hours". */
function waitWords(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (ms < 5_000) return "a few seconds";
  if (ms < 55_000) return `about ${Math.ceil(ms / 5_000) * 5} seconds`;
  if (minutes < 100) return minutes <= 1 ? "about a minute" : `about ${minutes} minutes`;
  return `about ${Math.round(minutes / 60)} hours`;
}

function Waiting({ room, queue, place }: PartProps & { readonly place: Place }) {
  const ahead = room.ahead.value ?? 0;
  const waitMs = room.waitMs.value;
  const rank = place.rank ?? 0;
  const share = rank === 0 ? 0 : 1 - Math.min(1, ahead / rank);
  const isDrawn = queue.drawn !== null && place.number <= queue.drawn;
  return (
    <>
      <div class="queue-head">
        <h2>{ahead === 0 ? "You are being let in" : "You are in line"}</h2>
        <p class="queue-place num">
          <small>Your place</small>
          {count(ahead)}
        </p>
      </div>
      <div class="queue-bar" aria-hidden="true">
        <i style={{ transform: `scaleX(${share})` }} />
      </div>
      <p class="num">
        {queue.paused ? (
          <strong>Nobody is let in at the moment. Your place is kept.</strong>
        ) : (
          <>
            <strong>
              {waitMs === null || ahead === 0
                ? "Any moment now."
                : `Your turn in ${waitWords(waitMs)}.`}
            </strong>{" "}
            {count(queue.admit_per_second)} {queue.admit_per_second === 1 ? "goes" : "go"} in a
            second.
          </>
        )}
      </p>
      <p class="soft num">
        {isDrawn
          ? `You were number ${count(place.number)}, and drawn as ${count(rank)} of ${count(queue.drawn ?? 0)}. `
          : `You came as number ${count(place.number)}; who comes after the draw follows in the order of coming. `}
        {keptWords()}
      </p>
      <div class="queue-acts">
        <Call />
      </div>
      <Seal queue={queue} />
    </>
  );
}

function Turn({ place, scene }: PartProps & { readonly place: Place }) {
  void acts.value;
  const ends = place.expires_at;
  const seconds = ends === null ? null : secondsUntil(Date.parse(ends));
  return (
    <div class="queue-head">
      <div class="stack">
        <h2>It is your turn</h2>
        <p>
          {scene.full ??
            (ends === null
              ? "While you hold something, your pass does not run out."
              : `Your pass lasts ${clockText(seconds ?? 0)} more. Reserve or buy in that time.`)}
        </p>
        <div class="queue-acts">
          <LinkButton href={scene.goods}>To the goods</LinkButton>
        </div>
      </div>
      {ends !== null && <Ring to={ends} totalMs={place.pass_ttl_ms ?? 600_000} />}
    </div>
  );
}

// --- After it ---------------------------------------------------------------------------------

const Passed = ({ room, scene }: PartProps) => (
  <>
    <h2>{scene.full === null ? "Your pass has run out" : "You have what you may have"}</h2>
    {scene.full === null ? (
      <>
        <p>Nothing was held when it ended. You can join again, at the end of the line.</p>
        <div class="queue-acts">
          <JoinButton room={room} login={scene.login}>
            Join again
          </JoinButton>
        </div>
      </>
    ) : (
      <p>{scene.full}</p>
    )}
  </>
);

const Closed = ({ room, scene }: PartProps) => (
  <>
    <h2>{scene.isSoldOut ? "Sold out" : "This sale is over"}</h2>
    <p>
      {room.place.value === null
        ? "Nobody has to wait any more."
        : "You need not wait any longer: nobody else is let in."}{" "}
      {scene.next}
    </p>
  </>
);

const Outside = ({ room, queue, scene }: PartProps) => {
  const waiting = queue.joined - queue.admitted_up_to;
  return (
    <>
      <h2>{waiting > 0 ? "There is a line" : "Come in"}</h2>
      <p class="num">
        {waiting > 0
          ? `${count(waiting)} wait to be let in, ${count(queue.admit_per_second)} a second. Who joins now goes to the end.`
          : "Nobody waits at the moment: who joins is let in at once."}
      </p>
      <div class="queue-acts">
        <JoinButton room={room} login={scene.login}>
          {waiting > 0 ? "Join the line" : "Let me in"}
        </JoinButton>
      </div>
      <Seal queue={queue} />
    </>
  );
};

type PartProps = { readonly room: Room; readonly queue: Queue; readonly scene: Scene };

function Part({ phase, ...props }: PartProps & { readonly phase: Phase | "drawn" }) {
  const place = props.room.place.value;
  if (phase === "closed") return <Closed {...props} />;
  if (place === null)
    return props.room.hasOpened.value ? <Outside {...props} /> : <Gathering {...props} />;
  switch (phase) {
    case "drawing":
      return <Drawing place={place} queue={props.queue} />;
    case "drawn":
      return <Drawn place={place} queue={props.queue} />;
    case "waiting":
      return <Waiting {...props} place={place} />;
    case "turn":
      return <Turn {...props} place={place} />;
    case "passed":
      return <Passed {...props} />;
    default:
      return <Gathering {...props} />;
  }
}

/** Who has watched the draw sees for a moment what came of it. */
function useDrawn(phase: Phase): boolean {
  const before = useRef(phase);
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    const watched = before.current === "drawing" && (phase === "waiting" || phase === "turn");
    before.current = phase;
    if (!watched) return undefined;
    setShown(true);
    const timer = setTimeout(() => setShown(false), stillMs);
    return () => clearTimeout(timer);
  }, [phase]);
  return isShown;
}

export function WaitingRoom({
  room,
  scene,
  tells,
}: {
  readonly room: Room;
  readonly scene: Scene;
  /** Whether title, icon and sound are this room's; a page has one that does. */
  readonly tells: boolean;
}) {
  const queue = room.queue.value;
  const phase = room.phase.value;
  const isDrawn = useDrawn(phase);
  useEffect(() => (tells ? tell(room) : undefined), [room, tells]);
  const isLost = connection.value === "lost" || line.value === "lost";
  return (
    <section
      class="queue card"
      aria-label={scene.name ?? "Waiting room"}
      data-phase={isDrawn ? "drawn" : phase}
    >
      {scene.of !== undefined && <p class="queue-of">{scene.of}</p>}
      {queue === null ? (
        <h2>The waiting room</h2>
      ) : (
        <Part room={room} queue={queue} scene={scene} phase={isDrawn ? "drawn" : phase} />
      )}
      {isLost && (
        <p class="queue-lost">
          Connection lost; trying again.
          {room.place.value !== null && phase !== "closed" && " Your place is kept."}
        </p>
      )}
      <p class="sr" role="status">
        {tells && announced.value}
      </p>
    </section>
  );
}
