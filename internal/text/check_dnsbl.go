package text

var dnsblTexts = []Entry{
	{
		"check.dnsbl",
		"送信元のIPアドレスが、迷惑メールの送信元リスト（DNSBL）や、信頼できる送信元のリストに載っているかどうかを調べます。",
		"Asks block lists, and lists of good senders, whether the sending address is on them.",
	},
	{
		"symbol.DNSBL_LISTED",
		"送信元のIPアドレス（{ip}）が、迷惑メールの送信元リスト（{list}）に載っています。",
		"The sending address ({ip}) is on the block list {list}.",
	},
	{
		"symbol.DNSBL_ALLOWED",
		"送信元のIPアドレス（{ip}）が、信頼できる送信元のリスト（{list}）に載っています。",
		"The sending address ({ip}) is on {list}, a list of good senders.",
	},
	{
		"symbol.DNSBL_TEMPERROR",
		"迷惑メールの送信元リストに問い合わせできませんでした（{why}）。この点は判定に含まれていません。",
		"The block lists could not be asked ({why}). They did not count either way.",
	},
	{
		"fact.dnsbl.count",
		"送信元アドレスを載せている拒否リストの数",
		"How many block lists have the client's address",
	},
	{
		"fact.dnsbl.lists",
		"送信元アドレスを載せている拒否リストの名前",
		"The names of the block lists that have the client's address",
	},
	{
		"fact.dnsbl.codes",
		"登録されていたリストと返ってきた値（「リスト名=127.0.0.2」の形式）",
		"What each list that has the address answered, as NAME=127.0.0.2",
	},
	{
		"fact.dnsbl.allow_lists",
		"登録されていた許可リスト",
		"The allow lists that have the address",
	},
	{
		"fact.dnsbl.score",
		"拒否リストと許可リストの点数の合計",
		"The sum of the points of all lists, block lists and allow lists",
	},
	{
		"fact.dnsbl.allowed",
		"送信元アドレスが許可リストに載っているかどうか",
		"Whether a list of good senders has the client's address",
	},
}
