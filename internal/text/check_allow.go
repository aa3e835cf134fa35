package text

var allowTexts = []Entry{
	{
		"check.allow",
		"宛先の方がご自身のために受信を許可した差出人かどうか",
		"Whether the recipient allows the sender for himself",
	},
	{
		"symbol.ALLOW_DOMAIN",
		"あなたが許可した差出人のドメイン（{domain}）からのメールです（{until}まで）。",
		"It names a sender's domain that you have allowed ({domain}, until {until}).",
	},
	{
		"symbol.ALLOW_SENDER",
		"あなたが許可した差出人（{address}）からのメールです（{until}まで）。",
		"It is from a sender whom you have allowed ({address}, until {until}).",
	},
	{
		"symbol.ALLOW_TEMPERROR",
		"受信を許可された差出人の一覧を確認できませんでした。",
		"The list of allowed senders could not be read.",
	},
	{"looking.allow", "受信を許可した差出人の一覧", "your list of allowed senders"},
}
