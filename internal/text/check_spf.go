package text

var spfTexts = []Entry{
	{
		"check.spf", "送信元サーバーの確認（SPF）：差出人のドメインが公開している送信元の一覧に、実際に送ってきたサーバーが載っているかを調べます。",
		"SPF: whether the server that sent the mail is among those the sender's domain names as its own.",
	},
	{
		"symbol.SPF_PASS", "{domain} が公開している送信元の一覧に載っているサーバーから送られています。",
		"The mail came from a server that {domain} names as its own.",
	},
	{
		"symbol.SPF_FAIL", "{domain} が公開している送信元の一覧によれば、このサーバー（{client}）から、このドメインのメールが送られることはありません。差出人が偽られているか、転送されたメールの可能性があります。",
		"{domain} says that no mail of its own comes from this server ({client}). The sender is forged, or the mail was forwarded.",
	},
	{
		"symbol.SPF_SOFTFAIL", "{domain} が公開している送信元の一覧に、このサーバー（{client}）は載っていません。ただし、このドメインの管理者は、一覧が完全ではない可能性もあるとしています。",
		"This server ({client}) is not among those that {domain} names, though the domain says that its list may not be complete.",
	},
	{
		"symbol.SPF_NEUTRAL", "{domain} は、このサーバー（{client}）が正規の送信元かどうかを明らかにしていません。",
		"{domain} does not say whether this server ({client}) is one of its own.",
	},
	{
		"symbol.SPF_NONE", "{domain} は送信元の一覧を公開していないため、正規のサーバーから送られたかどうかを確かめられません。",
		"{domain} does not say which servers send its mail, so this one cannot be verified.",
	},
	{
		"symbol.SPF_PERMERROR", "{domain} が公開している送信元の一覧に誤りがあり、正規のサーバーから送られたかどうかを確かめられませんでした（{why}）。",
		"The list of servers that {domain} publishes is faulty and could not be used ({why}).",
	},
	{
		"symbol.SPF_TEMPERROR", "一時的な障害のため、送信元サーバーの確認（SPF）ができませんでした（{why}）。",
		"SPF could not be checked because of a temporary failure ({why}).",
	},
	{
		"symbol.SPF_HELO_PASS", "送信元サーバーが名乗った名前（{domain}）は、その名前の管理者が使用を認めているものです。",
		"The server's greeting name, {domain}, is used with its owner's leave.",
	},
	{
		"symbol.SPF_HELO_FAIL", "送信元サーバーは {domain} と名乗りましたが、その名前の管理者は、このサーバー（{client}）が使うことを認めていません。名前を偽っていると考えられます。",
		"The server greeted as {domain}, but the owner of that name says that this server ({client}) may not use it.",
	},
	{
		"symbol.SPF_HELO_SOFTFAIL", "送信元サーバーは {domain} と名乗りましたが、その名前の管理者が公開している一覧に、このサーバー（{client}）は載っていません。",
		"The server greeted as {domain}, but is not among the servers that the owner of that name lists ({client}).",
	},
	{
		"symbol.SPF_HELO_NEUTRAL", "送信元サーバーが名乗った名前（{domain}）の管理者は、このサーバーが使うことを認めているかどうかを明らかにしていません。",
		"The owner of the greeting name {domain} does not say whether this server may use it.",
	},
	{
		"symbol.SPF_HELO_NONE", "送信元サーバーが名乗った名前（{domain}）については、使用を認められたサーバーの一覧が公開されていません。",
		"No list of servers is published for the greeting name {domain}.",
	},
	{
		"symbol.SPF_HELO_PERMERROR", "送信元サーバーが名乗った名前（{domain}）について公開されている一覧に誤りがあり、確かめられませんでした（{why}）。",
		"The list published for the greeting name {domain} is faulty and could not be used ({why}).",
	},
	{
		"symbol.SPF_HELO_TEMPERROR", "一時的な障害のため、送信元サーバーが名乗った名前（{domain}）を確かめられませんでした（{why}）。",
		"The greeting name {domain} could not be checked because of a temporary failure ({why}).",
	},
	{
		"fact.spf.result", "エンベロープ送信者（MAIL FROM。空のときは HELO の名前）についての SPF の結果：pass、fail、softfail、neutral、none、permerror、temperror のいずれか。",
		"The SPF result for MAIL FROM (for the HELO name when it is empty): pass, fail, softfail, neutral, none, permerror or temperror.",
	},
	{
		"fact.spf.helo", "送信元サーバーが HELO で名乗った名前についての SPF の結果。",
		"The SPF result for the name given at HELO.",
	},
	{
		"fact.spf.domain", "SPF で確かめたエンベロープ送信者のドメイン（小文字）。",
		"The domain of MAIL FROM (or HELO) that SPF looked at, in lower case.",
	},
}
