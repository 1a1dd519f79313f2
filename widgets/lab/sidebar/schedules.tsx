/** What runs later: cron jobs and scheduled functions, to be run now or not at all. */
import * as React from "react";
import { timeText } from "../../src/value.ts";
import { type Cron, type Deployment, type Page, type Scheduled, TABLE_DATA } from "./deployment.ts";
import { useChanges, useFollowed } from "./hooks.ts";
import { Action, Entry, List, Nothing, Trouble } from "./section.tsx";

/** The newest so many are shown. */
const SHOWN = 100;

export function SchedulesView({ deployment }: { deployment: Deployment }) {
  const [isBusy, failure, run] = useChanges(deployment, "schedules");
  const crons = useFollowed<Page<Cron>>(deployment.owner, TABLE_DATA, newestOf("_cron_jobs"));
  const later = useFollowed<Page<Scheduled>>(
    deployment.owner,
    TABLE_DATA,
    newestOf("_scheduled_functions"),
  );
  const now = (id: string) => run(id, () => deployment.runNow(id));
  const cancel = (id: string) => run(id, () => deployment.cancel(id));
  return (
    <>
      <Trouble text={failure || crons.failure || later.failure} />
      <h3 className="convexlab-module">Cron jobs</h3>
      {crons.value?.page.length === 0 ? <Nothing text="None: the module `crons` has them." /> : null}
      <List label="Cron jobs">
        {crons.value?.page.map((cron) => (
          <CronEntry key={cron._id} cron={cron} busy={isBusy(cron._id)} now={now} />
        ))}
      </List>
      <h3 className="convexlab-module">Scheduled functions</h3>
      {later.value?.page.length === 0 ? <Nothing text="None." /> : null}
      <List label="Scheduled functions">
        {later.value?.page.map((each) => (
          <ScheduledEntry
            key={each._id}
            told={each}
            busy={isBusy(each._id)}
            now={now}
            cancel={cancel}
          />
        ))}
      </List>
      {later.value?.isDone === false ? <Nothing text={`The newest ${SHOWN}.`} /> : null}
    </>
  );
}

function newestOf(table: string) {
  return { table, order: "desc", paginationOpts: { cursor: null, numItems: SHOWN } };
}

/** A function as users write it; documents have it as the official clients do, `tasks.js:create`. */
function pathOf(name: string): string {
  return name.replace(/\.js(?=:|$)/, "");
}

function CronEntry(props: { cron: Cron; busy: boolean; now: (id: string) => void }) {
  const { cron, busy, now } = props;
  const waits = cron.state.kind === "pending";
  return (
    <Entry
      name={cron.name}
      glance={<span className="convexlab-badge">{waits ? "waits" : "runs"}</span>}
      actions={
        <Action
          text="Run now"
          label={`Run ${cron.name} now`}
          disabled={busy || !waits}
          run={() => now(cron._id)}
        />
      }
    >
      <dl className="convexlab-facts">
        <dt>Function</dt>
        <dd>{pathOf(cron.function)}</dd>
        <dt>Next</dt>
        <dd>{timeText(cron.nextTime)}</dd>
      </dl>
    </Entry>
  );
}

function ScheduledEntry(props: {
  told: Scheduled;
  busy: boolean;
  now: (id: string) => void;
  cancel: (id: string) => void;
}) {
  const { told, busy, now, cancel } = props;
  const { kind, error } = told.state;
  const name = pathOf(told.name);
  const isOver = kind !== "pending" && kind !== "inProgress";
  return (
    <Entry
      name={name}
      glance={<span className="convexlab-badge">{kind === "inProgress" ? "runs" : kind}</span>}
      actions={
        isOver ? null : (
          <>
            <Action
              text="Run now"
              label={`Run ${name} now`}
              disabled={busy || kind !== "pending"}
              run={() => now(told._id)}
            />
            <Action
              text="Cancel"
              label={`Cancel ${name}`}
              disabled={busy}
              run={() => cancel(told._id)}
            />
          </>
        )
      }
    >
      <dl className="convexlab-facts">
        <dt>Due</dt>
        <dd>{timeText(told.scheduledTime)}</dd>
        <dt>Id</dt>
        <dd>{told._id}</dd>
      </dl>
      <Trouble text={error ?? null} />
    </Entry>
  );
}
