// Package batches hands groups to trainers, each batch to one at a time, and loses none.
//
// Groups that tell something wait until they fill a batch (ASTRA §3.1); what is left over
// waits for the next one. A trainer leases the oldest batch that is ready, and acknowledges
// it when its update is made, or gives it back. A lease that runs out is void: the batch is
// ready again, and whoever comes with the old lease is told so. A batch that is too old, in
// policy versions or in time, is dropped when it would be handed out, and counted.
//
// All of it is in notes, which a store keeps over kill -9: the groups of a batch under
// batches/NAME/ID, and under batches/NAME/state what waits, what is leased and until when.
// The state is written last, so what is in it is whole; what it does not have was never
// acknowledged to anybody. Notes cannot be taken away: names and rewards of a batch that is
// done, some 10 KB, stay. A queue has one process: the store's owner.
package batches
