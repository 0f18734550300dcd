// Package trainer is the room for what training needs of episodes: groups, advantages,
// batches, exports, updates. So far it exports chat rows for supervised fine-tuning.
//
// What may leave is decided here, once: scored train episodes of tasks of the train split.
// Practice, eval, open, expired, aborted and invalid episodes never reach a row.
package trainer
