package datasets

// A nemoRow is a row of NeMo RL's openai_format: arguments as objects, results by id. It is
// read with use_preserving_dataset: true; without it Arrow would fill arguments with nulls.
type nemoRow struct {
	Messages []jsonText `json:"messages" parquet:"messages,list" parquet-element:",json"`
	Tools    []jsonText `json:"tools" parquet:"tools,list" parquet-element:",json"`
}

func nemoRL(c *conversation) (row nemoRow, lost []string, err error) {
	messages, err := openAIMessages(c, objectArguments)
	if err != nil {
		return row, nil, err
	}
	nameAndMask(c, messages)
	row.Messages, row.Tools = rawList(messages), rawList(c.tools)
	return row, c.ifMasked(unheeded), nil
}
