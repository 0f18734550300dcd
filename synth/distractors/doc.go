// Package distractors chooses tools that have nothing to do with a task and stand beside
// those that have (ASTRA §3.2.2, eq. 24–28): an agent that is never shown a tool too many
// learns to call whatever it sees.
//
// An [Index] has the tools of many arenas, each name once. How near two tools are is the
// cosine of what an [Embedder] makes of their documents; for each tool of a task the
// similarities are put between 0 and 1 by the least and the greatest of its row, and fall
// into three bands. From each band, the tools of other domains alone, up to K are drawn.
//
// A distractor is called like any other tool. It answers from its own arena's world, which
// the gateway starts without a scenario, so an arena whose world needs one lends no tools.
package distractors
