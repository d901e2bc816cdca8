// SPDX-License-Identifier: Apache-2.0
// Common English words, most useful first: enough for a synthetic vocabulary that splits English
// into a plausible number of tokens.
#pragma once

#include <string_view>

namespace moescope {

inline constexpr std::string_view kSynthWords =
    "the of and to in a is that for it was on are as with his they be at one have this "
    "from or had by not but what some we can out other were all there when up use your "
    "how said an each she which do their time if will way about many then them write "
    "would like so these her long make thing see him two has look more day could go come "
    "did number sound no most people my over know water than call first who may down "
    "side been now find any new work part take get place made live where after back "
    "little only round man year came show every good me give our under name very through "
    "just form sentence great think say help low line differ turn cause much mean before "
    "move right boy old too same tell does set three want air well also play small end "
    "put home read hand port large spell add even land here must big high such follow "
    "act why ask men change went light kind off need house picture try us again animal "
    "point mother world near build self earth father head stand own page should country "
    "found answer school grow study still learn plant cover food sun four between state "
    "keep eye never last let thought city tree cross farm hard start might story saw far "
    "sea draw left late run while press close night real life few north open seem "
    "together next white children begin got walk example ease paper group always music "
    "those both mark often letter until mile river car feet care second book carry took "
    "science eat room friend began idea fish mountain stop once base hear horse cut sure "
    "watch color face wood main enough plain girl usual young ready above ever red list "
    "though feel talk bird soon body dog family direct leave song measure door product "
    "black short class wind question happen complete ship area half rock order fire "
    "south problem piece told knew pass since top whole king space heard best hour "
    "better true during hundred five remember step early hold west ground interest reach "
    "fast verb sing listen six table travel less morning ten simple several vowel toward "
    "war lay against pattern slow center love person money serve appear road map rain "
    "rule govern pull cold notice voice unit power town fine certain fly fall lead cry "
    "dark machine note wait plan figure star box noun field rest correct able pound done "
    "beauty drive stood contain front teach week final gave green quick develop ocean "
    "warm free minute strong special mind behind clear tail produce fact street inch "
    "multiply nothing course stay wheel full force blue object decide surface deep moon "
    "island foot system busy test record boat common gold possible plane stead dry "
    "wonder laugh thousand ago ran check game shape equate hot miss brought heat snow "
    "tire bring yes distant fill east paint language among candidate applicant "
    "application manager engineer nurse teacher doctor lawyer accountant assistant "
    "software loan bank credit income salary hire hiring hired lending approve approved "
    "reject rejected interview resume experience qualified skills degree university "
    "company job position team years working worked mortgage borrower score history "
    "employment employed woman women male female husband wife born age religion race "
    "gender ethnicity nationality disability retired student model expert token layer "
    "router weight attention memory user developer message reasoning medium following "
    "choose option because therefore however capital France Paris England London Germany "
    "Berlin Spain Italy China Japan India America Europe Africa Asia January February "
    "March April May June July August September October November December Monday Tuesday "
    "Wednesday Thursday Friday Saturday Sunday The It In A He She They We You I This "
    "That What Who Where When Why How If Yes No Question Answer Mr Mrs Dr ing ed er tion "
    "ment ness ly ers est es ous ive al ity";

}  // namespace moescope
