// Package ors has the endpoints of the Open Reward Standard, as its Python package openreward
// speaks them (0.1.167, environments/server.py), so that trainers made for it train on any
// arena.
//
// Its client knows an origin and no path: it asks for /create_session at the root of a host.
// So the handler is there to be mounted at the root, too, for the paths that it Knows, and
// understands both ways in which a client says which environment it means: as the first
// segment of the path, or, where the path is bare, in the header X-Deployment. A bare path without a name that is known belongs
// to the session, to the only environment there is (308), or is refused with a list.
//
// An environment is one set of tools, since clients list tools once and not for each task:
// "inventory" if all tasks of the arena have one set, else "inventory.1", "inventory.2" … in
// the order in which the sets appear among the tasks. Tasks to which a turn adds tools are in
// no environment: the protocol has no way to say that a tool has come.
//
// Trainers make Python of tools. A tool or an argument whose name is a keyword there is shown
// with a "_" behind it (from_), and may be called by either name.
//
// The protocol knows no verify. Two tools are added to an arena's: episode_submit scores the
// episode and ends it, and episode_turn hands out the next message where a task has several.
// A reward is in the reward field of the reply to episode_submit, and nowhere else. An episode
// that became invalid is the event error of whatever call comes next, and has no reward, never
// 0: a client takes that for the end of its session, where "ok": false would be told to the
// model as its mistake, and a trainer that gives 0 to rollouts without an end would train on
// it. Every call after the end is answered with finished and changes nothing.
//
// A call is one step however often it is sent: its task_id is the idempotency key in the
// episode's log, so that it can be taken up as long as the episode is known, after kill -9 as
// well, and not only for the protocol's 60 seconds.
//
// What its own server has and this one has not: toolsets and images, which arenas have not;
// messages and score_group, which are answered with 404, from which clients tell that they are
// not there. Secrets are not looked at: nothing here could use them.
package ors
