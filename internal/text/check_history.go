package text

var historyTexts = []Entry{
	{
		"check.history",
		"確認できた差出人から、これまでにメールが届いたことがあるかどうか",
		"What is remembered of a confirmed sender: whether mail of his was delivered before, released or reported",
	},
	{
		"symbol.HISTORY_FIRST",
		"この差出人（{sender}）であることを確認できたメールが届いたのは、記録のある過去6か月間で初めてです。",
		"In the six months on record no mail that was confirmed to be of this sender ({sender}) has come before.",
	},
	{
		"symbol.HISTORY_KNOWN",
		"この差出人（{sender}）からは、これまでに{mails}通のメールが届いています。",
		"{mails} mails of this sender ({sender}) have come before.",
	},
	{
		"symbol.HISTORY_REPORTED",
		"この差出人（{sender}）からのメールは、これまでに{reported}回、迷惑メールとして報告されています。",
		"Mail of this sender ({sender}) was reported as spam {reported} times.",
	},
	{
		"symbol.HISTORY_TEMPERROR",
		"差出人とのこれまでのやり取りの記録を参照できませんでした（{why}）。この点は判定に含まれていません。",
		"What is remembered of the sender could not be read ({why}). It did not count either way.",
	},
	{"fact.history.sender", "確認できた差出人（ドメインまたはアドレス。確認できなければ空）", "Who was confirmed to have sent the mail: a domain or an address; empty when nobody was"},
	{"fact.history.first", "この差出人からのメールが初めて届いたかどうか（差出人を確認できないときも真）", "Whether no mail of this sender was delivered before; true for a sender who is not confirmed"},
	{"fact.history.mails", "これまでに届いたこの差出人のメールの数", "How many mails of this sender were delivered"},
	{"fact.history.days", "この差出人のメールが初めて届いてからの日数", "How many days ago the first of them was delivered"},
	{"fact.history.released", "この差出人のメールが隔離から受信された回数", "How often mail of this sender was released"},
	{"fact.history.reported", "この差出人のメールが迷惑メールとして報告された回数", "How often mail of this sender was reported as spam"},
	{"fact.history.rcpt_first", "この差出人からこの宛先へのメールが初めてかどうか", "Whether no mail of this sender was delivered to the recipient before"},
	{"fact.history.rcpt_mails", "この差出人からこの宛先に届いたメールの数", "How many mails of this sender were delivered to the recipient"},
	{"fact.history.rcpt_weeks", "この差出人のメールがこの宛先に届いた週の数", "In how many different weeks mail of this sender was delivered to the recipient"},
	{"fact.history.rcpt_released", "この差出人からこの宛先へのメールが隔離から受信された回数", "How often mail of this sender to the recipient was released"},
	{"fact.history.rcpt_reported", "この差出人からこの宛先へのメールが迷惑メールとして報告された回数", "How often mail of this sender to the recipient was reported as spam"},
	{"looking.history", "差出人とのこれまでのやり取り", "what is remembered of the sender"},
}
