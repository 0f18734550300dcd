// Package datasets makes supervised fine-tuning datasets of trajectories, each in the form
// that one trainer reads: filtered, without copies, split by server, in shards, with a card
// and a manifest. It also reads the rows that ASTRA released (ReadASTRA).
//
// What a format cannot say is never lost in silence: it is said another way, or the row is
// left out with its reason, or the card and the manifest count what was lost. Metadata and
// loss weights of every row stand in rows.jsonl beside the data, in the order of the rows.
//
// A dataset is a directory:
//
//	README.md          the card, as the hub reads it
//	manifest.json      settings, what was left out, the digest of every file
//	rows.jsonl         one line a row: where it came from
//	train/             train-00000-of-00002.jsonl, or .parquet
//	eval/              the same, if a part was held back
//	plots/             SVG
//	dataset_info.json  llama-factory only
package datasets
