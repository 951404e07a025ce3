// Sends a video by its address and waits for the clean one. Types alone come from ./cleanplate: no package is needed at run time.
//   CLEANPLATE_URL=http://127.0.0.1:8000 CLEANPLATE_KEY=cp_... node example.js https://example.com/clip.mp4
import type { paths } from "./cleanplate";

declare const process: { env: Record<string, string | undefined>; argv: string[] };

type Order = NonNullable<paths["/v1/jobs"]["post"]["requestBody"]>["content"]["application/json"];
type Job = paths["/v1/jobs/{job_id}"]["get"]["responses"]["200"]["content"]["application/json"];

const service = process.env.CLEANPLATE_URL ?? "http://127.0.0.1:8000";
const headers = { Authorization: `Bearer ${process.env.CLEANPLATE_KEY}`, "Content-Type": "application/json" };

async function ask<Answer>(path: string, body?: object): Promise<Answer> {
  const answer = await fetch(service + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  if (!answer.ok) {
    throw new Error(`${answer.status}: ${await answer.text()}`);
  }
  return (await answer.json()) as Answer;
}

const order: Order = { source_url: process.argv[2] };
let job = await ask<Job>("/v1/jobs", order);
while (!["succeeded", "failed", "cancelled"].includes(job.state)) {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  job = await ask<Job>(`/v1/jobs/${job.id}`);
}
console.log(job.state, job.error?.detail ?? job.result?.url);
