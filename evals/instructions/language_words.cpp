// SPDX-License-Identifier: Apache-2.0
// Our own lists: the particles, pronouns and prepositions that a speaker cannot do without. A word
// of several languages stands in each of their lists and speaks for none of them against the
// others.
#include "evals/instructions/language_words.h"

namespace moescope::instructions {

namespace {

constexpr LanguageWords kLanguages[] = {
    {"af", Script::Latin,
     "die en van is nie het 'n wat vir met sy hy om te op dat ek jy ons jou sal aan was as hulle "
     "ook word uit by",
     ""},
    {"ca", Script::Latin,
     "de la el els les i que en un una per amb no és al del dels es com més però també són aquest "
     "aquesta ha han ser",
     "çï·"},
    {"cs", Script::Latin,
     "a je se v na že to s z do o i jako pro ale by jsem jsou byl bylo které který ve po jeho nebo "
     "když si tak ještě",
     "ěřůťď"},
    {"cy", Script::Latin,
     "y yn a i o ar yr ac mae am wedi gan ei ein eu eich bod hwn hon fel ond oedd ydy yw dim roedd",
     "ŵŷ"},
    {"da", Script::Latin,
     "og i at det en den til er som på de med han af for ikke der var et har jeg du vi om havde "
     "fra hun eller men nogle også blev",
     "æøå"},
    {"de", Script::Latin,
     "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an "
     "werden aus er hat dass sie nach wird bei einer einem einen wie oder wir ich du ihr haben "
     "sind kann zum zur noch aber man nur wenn mehr ihre seine ihren diese dieser war so über",
     "ßäöü"},
    {"en", Script::Latin,
     "the of and to in is that for it was on as with be by this at are from have not you or an "
     "which they his he but we had were their has been will would if there can all she her when "
     "who more so no out up my what your them than about i me our do into how him its could just "
     "some then these should like don",
     ""},
    {"es", Script::Latin,
     "de la el que en y los las un una por con no su para es al lo como del se más pero sus le ya "
     "este esta son ser está muy también fue ha había sin sobre porque cuando donde hay todo nos",
     "ñ"},
    {"et", Script::Latin,
     "ja on ei et ta see oli kui ka mis oma aga ning või nii seda ma sa kes siis mida veel välja "
     "üle olla olen pole selle need tema",
     "õäöü"},
    {"fi", Script::Latin,
     "ja on ei että se hän oli mutta kun ovat kuin myös niin jos voi mitä tai sen ole olla joka "
     "ovat sitä hänen kanssa minä sinä me te he tämä tämän mukaan sekä jotka vain nyt -ssa -ssä "
     "-sta -stä -lla -llä -lle -ksi -nsa -nsä -vat -vät -iin "
     "-aan -ään -nen -isen -mista -mme -taan -tään -seen -iksi",
     "äö"},
    {"fr", Script::Latin,
     "de la le et les des en un une du que dans qui pour est pas sur au par avec il ce ne se plus "
     "sont cette aux ou nous vous elle mais leur ses son sa été comme je tu on même tout fait être "
     "avoir où d l qu n c s j",
     "çêèùûœ"},
    {"hr", Script::Latin,
     "i je u na se da za su od s a koji koja koje kao to ne bi ili iz do što o po biti sam ali "
     "njegov kako samo nije bio bila",
     "đćčšž"},
    {"hu", Script::Latin,
     "a az és hogy nem is egy van meg ez ha de volt csak már mint még ki el azt vagy pedig minden "
     "lehet után nagyon kell ami ezt aki -ban -ben -nak -nek -val -vel",
     "őűöü"},
    {"id", Script::Latin,
     "yang dan di dengan untuk ini itu dari dalam tidak pada adalah ke akan juga saya anda mereka "
     "kami kita atau oleh bisa dapat ada karena sebagai telah lebih sudah seperti orang -nya",
     ""},
    {"it", Script::Latin,
     "di e il la che in un per è una non sono con del le si da dei della nel alla gli come più ma "
     "lo anche al delle ha i questo questa dal nella degli ed o se mi ci suo sua essere loro molto "
     "perché dell l",
     "ìò"},
    {"lt", Script::Latin,
     "ir yra kad į su iš kaip tai bet ar ne apie jo jis buvo už tik nuo per dar po prie o jų mes "
     "aš jau labai",
     "ėįųąęūž"},
    {"lv", Script::Latin,
     "un ir ar no uz par ka kas to es nav tas bet vai pie kā arī ja lai tikai viņš mēs jau bija "
     "pēc ļoti",
     "āēīūļņķģ"},
    {"nl", Script::Latin,
     "de en van het een in is dat op te zijn met voor niet aan er om ook als die maar bij door uit "
     "naar dan nog wordt deze heeft of worden over kan hij ze wij je jij meer geen was tot",
     "ĳ"},
    {"no", Script::Latin,
     "og i det er som på en til for av med at ikke den de har jeg du vi om fra han hun et var seg "
     "men eller kan blir ble skal etter også bare noe meg deg",
     "æøå"},
    {"pl", Script::Latin,
     "w i na się z do nie to jest że o jak za po od co ale dla jego przez są tak był było oraz jej "
     "czy tylko lub ich który która które może tym",
     "ąęłśźżń"},
    {"pt", Script::Latin,
     "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele "
     "das tem à seu sua ou ser quando muito há nos já está eu também só pelo pela até isso ela são "
     "você",
     "ãõç"},
    {"ro", Script::Latin,
     "și de în la cu a nu pe o că un din este pentru care sau mai ce se sunt au fi ca am dar ai "
     "prin cel le lui această acest după ei",
     "șțăşţ"},
    {"sk", Script::Latin,
     "a je sa v na že to s z do o i ako pre ale by som sú bol bolo ktoré ktorý vo po jeho alebo "
     "keď si tak ešte aj od",
     "ľĺŕôť"},
    {"sl", Script::Latin,
     "in je v se na da za so ne ki z pa ni bi s kot po od tudi ali iz še pri ga sem biti samo kar "
     "ko lahko",
     "čšž"},
    {"so", Script::Latin,
     "oo waa iyo ka ku uu in la ah ay u si ee aan soo ayaa isaga kale waxa waxaa ma jiray -yaa",
     ""},
    {"sq", Script::Latin,
     "të e në dhe për me një që i nga është më nuk se ka do si po ai ky kjo por janë kur u duke "
     "këtë",
     "ëç"},
    {"sv", Script::Latin,
     "och i att det en som på är av för med den till inte om ett har jag de var kan han hon men så "
     "från vi eller du när också sin mycket ska efter sig detta vara",
     "åäö"},
    {"sw", Script::Latin,
     "na ya wa kwa ni la katika za cha kama kuwa hii hiyo huo ili au lakini pia yake wake hiki "
     "hizo watu sana zaidi si kila ambayo baada bila kutoka vya hayo mimi wewe yeye sisi wao yako "
     "yangu kwamba wetu mtu siku kuna huu haya ku- wana- una- ana- tuna- nina- ina- zina-",
     ""},
    {"tl", Script::Latin,
     "ang ng sa na mga ay at ko siya niya hindi ito para kung may si ako ka mo namin natin kanyang "
     "isang ni nang pa lang din rin dahil",
     ""},
    {"tr", Script::Latin,
     "ve bir bu için ile da de çok olarak daha gibi olan ama ne kadar en değil sonra ben sen o var "
     "her ya mi mı olduğu şey -lar -ler -ları -leri",
     "ğışç"},
    {"vi", Script::Latin,
     "và của là có không cho các một được với những trong này đã người để khi đó như từ bạn tôi về "
     "nhiều ra sẽ cũng làm thì",
     "đăơưạảấầẩẫậắằẳẵặẹẻẽếềểễệịỉọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ"},
    {"bg", Script::Cyrillic,
     "и на да се за от е в с не са ще като по това със че но към или един която който си до има "
     "също при както му може беше той най ако тази са едно от ви ни аз ти -ът -ят",
     "ъ"},
    {"mk", Script::Cyrillic,
     "и на да се во од за е со не како но што ќе ги го тоа сите или кој која беше има ова по",
     "ѓќјљњџѕ"},
    {"ru", Script::Cyrillic,
     "и в не на что с по это как для из от к но он она они мы вы я у за же бы так его её или если "
     "был была было быть есть все о при до только когда чтобы также который которые -ый -ые -ой "
     "-ть -ся -ых -ого -ость -ние -ение -ать",
     "ыэё"},
    {"uk", Script::Cyrillic,
     "і в не на що з та до це як для у від й за про але він вона ми ви я його її або якщо був було "
     "бути є так при також який які щоб",
     "іїєґ"},
    {"ar", Script::Arabic,
     "في من على إلى أن هذا هذه التي الذي ما لا عن مع كان هو هي أو ثم قد كل بعض بين ذلك حيث لم لن "
     "إن كما أنا أنت يا حتى بعد قبل عند ال- وال- بال- لل-",
     "ةىأإؤئيك"},
    {"fa", Script::Arabic,
     "و در به از که این را با است برای آن یک تا هم می شما ما من بر خود شود کرد کند هر "
     "اما یا نیز بود های ها باید دارد شده اگر او آنها همه وجود می\u200cشود نمی پس روی "
     "نمی\u200cشود خواهد بین دو آیا شده\u200cاست چه چون -های -ها -ترین -ای",
     "ژ\u200c"},
    {"ur", Script::Arabic,
     "کے کی میں ہے اور سے کا کو پر نے یہ اس ہیں کہ بھی ایک تو ہو آپ کر نہیں لیے وہ جو تھا تھی گا "
     "ہم کیا ساتھ اپنے ان یا رہا",
     "ٹڈڑںےہھ"},
    {"hi", Script::Devanagari,
     "है के में की और का से को पर हैं यह ने एक कि था भी नहीं तो हो ही लिए या कर जो इस आप हम वह थे साथ अपने "
     "करने गया होता रहा मैं किया कुछ सकते "
     "आपका आपके आपको उनके उनकी इसके हुए हुआ दिया कोई",
     ""},
    {"mr", Script::Devanagari,
     "आहे आणि या हे ते व एक नाही होते आहेत तर की ही मी तो ती पण केले असे काही मध्ये साठी होता आपल्या आपण त्या "
     "जे हा तुम्ही करा किंवा म्हणून -च्या -ला -चे -ची -चा -मध्ये -साठी -ने -तील -ून",
     "ळ"},
    {"ne", Script::Devanagari,
     "छ र को मा हो पनि यो लागि छन् गर्न भएको एक थियो गरेको तर त्यो यस म तपाईं हामी उनी गर्ने छैन वा हुन्छ भने "
     "सबै धेरै हुन गर्नुहोस् -को -मा -ले -लाई -हरू -हरु -बाट",
     ""},
    // Scripts that write one language.
    {"bn", Script::Bengali, "", ""},
    {"el", Script::Greek, "", ""},
    {"gu", Script::Gujarati, "", ""},
    {"he", Script::Hebrew, "", ""},
    {"ja", Script::Kana, "", ""},
    {"kn", Script::Kannada, "", ""},
    {"ko", Script::Hangul, "", ""},
    {"ml", Script::Malayalam, "", ""},
    {"pa", Script::Gurmukhi, "", ""},
    {"ta", Script::Tamil, "", ""},
    {"te", Script::Telugu, "", ""},
    {"th", Script::Thai, "", ""},
    {"zh", Script::Han, "", ""},
};

}  // namespace

std::span<const LanguageWords> languageWords() {
    return kLanguages;
}

}  // namespace moescope::instructions
