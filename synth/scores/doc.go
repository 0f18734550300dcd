// Package scores judges conversations by ASTRA's seven scores (§2.1.5), and fails closed.
//
// A conversation is messages m_0 (system), m_1 (user), m_2 …; the calls of one assistant
// message are a round u_j, and c_j is everything before it, without m_0. Then
//
//	QU   J_understand(τ∖m_0), about the first assistant message       {0, ½, 1}
//	QP   J_plan(τ∖m_0), about the same                                 {0, ½, 1}
//	TCU  1/(J−1) Σ_{j≥2} J_understand(c_j, u_j)                        each {0, ½, 1}
//	TCP  1/(J−1) Σ_{j≥2} J_plan(c_j, u_j)                              each {0, ½, 1}
//	TCS  1/n Σ S_i, whether call i succeeded                           each {0, 1}
//	TC   1/n Σ TC_i, whether call i was necessary and no repeat        each {0, 1}
//	FA   ½ (Corr(m_1, m_{k−1}) + Summ(τ∖m_0))                          each {0, ½, 1}
//
// and the score is their mean. Neither TCU nor TCP sees what came after the round.
//
// Where the paper does not say:
//
//   - With fewer than two rounds there is nothing to average: the last message stands for
//     u_2, with everything before it as c_2. To stop, or not to begin, is a step, too.
//   - With several user turns, QU and QP are about the first, rounds are those of the whole
//     conversation, and Corr is about all that the user said and the last answer.
//   - Calls that were planned to fail are no doing of the agent's, and no part of TCS. If all
//     were, nothing succeeded: TCS is 0.
//   - A conversation without a call has TCS and TC 1 if its request was to be declined, else 0.
//
// A rule decides where it can. Calls: the log knows which succeeded; a tool that does not
// exist, arguments that do not fit and an exact repeat of what was answered alike before are
// not necessary. A tool that does not exist is no plan, and in TCP neither are arguments that
// do not fit: QP asks for the way alone. Answers: one in another script than the user's, of
// some words, does not correlate; one with a link that nobody told the assistant is no true
// summary; a conversation that does not end in an answer has FA 0. A message with neither
// text nor calls understands and plans nothing. The rest is asked of a model, in words and
// not in numbers, and what it does not know, or cannot say as asked, is unknown: a part
// without a value, which no mean has and nobody accepts.
package scores
