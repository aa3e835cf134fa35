package text

var dkimTexts = []Entry{
	{
		"check.dkim", "電子署名の確認（DKIM）：メールに付いている送信側の電子署名をすべて調べ、途中で内容が書き換えられていないかを確かめます。",
		"DKIM: every signature of the mail, and with it whether what was signed has been changed on the way.",
	},
	{
		"symbol.DKIM_PASS", "{domain} の電子署名が正しく、署名された内容は送信時のままです。",
		"The signature of {domain} is valid: what it covers is unchanged.",
	},
	{
		"symbol.DKIM_FAIL", "{domain} の電子署名が内容と一致しません。途中で書き換えられたか、署名が偽造された可能性があります。メーリングリストや転送を経たメールでも起こります。",
		"The signature of {domain} does not match the mail. It was changed on the way, as mailing lists do, or the signature is forged.",
	},
	{
		"symbol.DKIM_NONE", "このメールには、送信側の電子署名が付いていません。",
		"The mail carries no signature.",
	},
	{
		"symbol.DKIM_PERMERROR", "{domain} の電子署名、または署名を確かめるための公開情報に誤りがあり、確かめられませんでした（{why}）。",
		"The signature of {domain}, or the key published for it, is faulty ({why}).",
	},
	{
		"symbol.DKIM_TEMPERROR", "一時的な障害のため、電子署名を確かめられませんでした（{why}）。",
		"A signature could not be checked because of a temporary failure ({why}).",
	},
	{
		"symbol.DKIM_WEAK", "{domain} の電子署名は方式が弱い、または本文の一部しか守っていないため、有効な署名として扱いませんでした（{why}）。",
		"The signature of {domain} is too weak to count ({why}).",
	},
	{
		"symbol.DKIM_TESTING", "{domain} の電子署名は確かめられませんでしたが、このドメインの公開の設定に試験中とあるため、署名がないものとして扱いました（{why}）。",
		"The signature of {domain} did not verify, but its key is in test mode, so the mail is treated as unsigned ({why}).",
	},
	{
		"symbol.DKIM_TOO_COMPLEX", "電子署名の数やメールの作りが通常では考えられないほど複雑なため、署名の一部またはすべてを確かめませんでした（{why}）。検査を妨げる目的で作られたメールの可能性があります。",
		"The mail is made so that verifying all of its signatures would take unreasonable work, so some or all were not verified ({why}).",
	},
	{
		"symbol.DKIM_MULTI_FROM", "差出人の欄が{count}個あります。電子署名が守っているのはそのうちの一部で、画面に表示される差出人とは限りません。",
		"There are {count} From fields; a signature need not cover the one that is shown.",
	},
	{
		"symbol.DKIM_PUBLIC_SUFFIX", "電子署名が、だれでも登録できる共有のドメイン（{domain}）の名で付けられています。",
		"A signature is in the name of {domain}, below which anybody may register.",
	},
	{
		"fact.dkim.result", "すべての電子署名のうち最もよい結果：pass、temperror、policy、fail、permerror の順。署名がなければ none。",
		"The best result of all signatures: pass, temperror, policy, fail, permerror in that order; none without a signature.",
	},
	{
		"fact.dkim.domains", "電子署名が正しかったドメインの一覧（小文字）。",
		"The domains whose signatures are valid, in lower case.",
	},
	{
		"fact.dkim.failed",
		"署名が正しくなかったドメイン",
		"The domains whose signatures do not hold",
	},
	{
		"fact.dkim.selectors",
		"すべての署名のセレクター",
		"The selectors of all signatures",
	},
	{
		"fact.dkim.algorithms",
		"すべての署名の方式（rsa-sha256など）",
		"The algorithms of all signatures, such as rsa-sha256",
	},
	{
		"fact.dkim.signatures", "メールに付いている電子署名の数。",
		"The number of signatures in the mail.",
	},
}
