package text

var greylistTexts = []Entry{
	{
		"check.greylist",
		"初めての差出人が、時間をおいて送り直してくるかどうか（グレーリスト）",
		"Whether a sender who is new here comes again after a while (greylisting)",
	},
	{
		"symbol.GREYLIST_WAIT",
		"この送信元（{client}）からこの差出人・宛先のメールが届くのは初めてのため、送り直されるのを待っています（{delay}）。",
		"The client ({client}) sends mail of this sender to this recipient for the first time and has to come again after {delay}.",
	},
	{
		"symbol.GREYLIST_PASSED",
		"この送信元（{client}）は、時間をおいてメールを送り直してきました（{waited}後）。",
		"The client ({client}) has come again after {waited}.",
	},
	{
		"symbol.GREYLIST_TEMPERROR",
		"グレーリストの記録を参照できませんでした（{why}）。この点は判定に含まれていません。",
		"The greylist could not be read ({why}). It did not count either way.",
	},
	{"fact.greylist.result", "new（初回）、early（待ち時間の前に再送）、passed（待ったあとに再送）、known（待つ必要のない送信元）", "new: the first attempt; early: another one too soon; passed: it has waited; known: the client need not wait any more"},
	{"fact.greylist.wait", "まだ待つ必要があるかどうか", "Whether the sender has to wait"},
	{"fact.greylist.seconds", "初回からの秒数", "Seconds since the first attempt"},
	{"looking.greylist", "初めての差出人かどうかの記録", "whether the sender has come before"},
}
