// Package replay judges the facts that were kept of past mail with another set of rules, and says who would be treated otherwise.
//
// One goroutine reads the facts, the others decode and judge; what they count is put together at the end, so that the result does
// not depend on who was faster. What is in memory at a time is a few blocks of facts and what the result shows, however many mails there are.
//
// What cannot be known is not guessed. A condition on the text whose outcome was not kept is judged on the mail itself where the
// quarantine still has it; else the mail is judged for all that the rule may say, and when not all of these ways end alike it is counted
// as not judged, with the rule.
package replay
